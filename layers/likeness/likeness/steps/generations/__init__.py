"""Videos of people: what is asked for, guarded, made at crun, saved and recorded."""
