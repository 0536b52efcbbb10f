"""wattstorm whole, in one process and without a clock: seeded schedules of what may go wrong.

    plan      a seed → the steps of a schedule: who does what, and what befalls them there
    world     producers, spout, tasks and publishers, run step by step
    stage     what they stand on instead of the machine's: clock, chance, files
    store     a model of Redis that runs the real Lua scripts, behind the real redis-py
    town      eight days of readings, with everything wrong that readings can have
    registers how the town's register grows meanwhile; keeper: who says so, and other rules
    oracle    a plain recomputation of the log as it finally stands
    shrink    fewer steps that still fail

`python -m bench.schedules` runs them; docs/testing.md says how to read a failure.
"""
