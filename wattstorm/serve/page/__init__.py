"""The live page: what a dispatcher and an operator look at.

    thread `Feed`  one reader of the log `slots` for all clients ──► `Board`  newest days in memory
                                                                       │
    browsers  ◄── push over a websocket ── pages (nation, health) ◄── `Now`  frozen, a few a second

`board`, `views`, `chart` and `markup` are pure; `feed` reads; the rest is NiceGUI.
"""
