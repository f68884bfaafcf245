"""What the steps need from outside, by area. Adapters implement it for AWS and crun; tests implement it in memory.

``system`` has what every capability uses, ``onboarding`` sessions and executions, ``files`` assets and their bytes,
``notifications`` events and webhooks, ``upkeep`` statistics and erasures, ``crun`` the calls to crun. ``store`` joins
the inventory's areas for steps that need several. What one step alone needs, and nothing but its adapter implements,
stands beside that step.
"""
