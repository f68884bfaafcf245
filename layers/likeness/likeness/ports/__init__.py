"""The interfaces that steps depend on, by area. Adapters implement them for AWS and crun, tests in memory.

``system`` is used by every capability, ``onboarding`` has sessions and executions, ``files`` assets and their bytes,
``notifications`` events and webhooks, ``upkeep`` statistics and erasures, ``crun`` the requests to crun. ``store``
combines the inventory's areas for steps that need several. An interface that only one step uses, and that only its
adapter implements, is defined beside that step.
"""
