// Begins the page's first request while the rest of the page is still on its way. It changes nothing: invite.js does.

import { begin } from "./api.js";
import { Memory, firstPath, givenToken } from "./token.js";

const memory = new Memory();
const given = givenToken();
const kept = memory.get("token");
const token = given ?? kept;
// invite.js forgets the language that was chosen with another link.
const language = token === kept ? memory.get("language") : null;
if (token) /** @type {any} */ (globalThis).early = begin(token, "GET", firstPath(token, language));
