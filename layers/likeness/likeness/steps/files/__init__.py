"""From a registered file to an active asset at crun."""
