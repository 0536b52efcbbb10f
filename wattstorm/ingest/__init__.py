"""Readings from outside into the log: where a source docks, be it files, Kafka or an HTTP intake.

    with Dock(connection, settings, register) as dock:
        for readings, origins in what_came:   # `Readings`: arrays; origins: each row's place, text
            dock.load(readings, origins)
    account = dock.sent().wait(forever=True)

`readings` says what a source hands over, `routing` cuts it into blocks, `dock` sends them and
sets refused rows aside, `sent` tells what became of them. `from_files` is the source that the
command `wattstorm ingest` uses. No console here: whoever calls passes a `Listener`.
"""
