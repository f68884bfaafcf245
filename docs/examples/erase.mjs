// node erase.mjs ses_…: erases a person, with all files.
import { call } from "./likeness.mjs";

const tombstone = await call("DELETE", `/sessions/${process.argv[2]}`);
console.log(`${tombstone.id}: ${tombstone.status}, erased at ${tombstone.erasure.erased_at}`);
