"""The stack on one machine: emulator, crun simulator, gateway and demo."""
