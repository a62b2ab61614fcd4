"""The scripted exchanges of tests/scripted against the program: exact bytes over TCP."""

from __future__ import annotations

from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.stage import Stage
from lab.target import Database
from lab.wire_files import FOLDER, names, read_script

NOT_SETTINGS = ("only", "cut", "logins", "pool_mode", "pool_size", "server_round_robin")


# Heavy: sanitizers see these exchanges in the core's own runs of them, in five ways and faster.
@test(targets=FOREBAY, params=names(), heavy=True)
def wire(lab: Lab, param: str) -> None:
    script = read_script(FOLDER / f"{param}.wire")
    config = script.config
    stage = Stage(script)
    lab.keep(stage)
    options = {key: int(value) if value.isdigit() else value == "true" or value
               for key, value in config.items() if key not in NOT_SETTINGS}
    # One thread: with more, whether a server connection is free again when the next client asks is
    # anybody's guess. The core's own runs of these files have several workers.
    options["workers"] = 1
    target = lab.target(
        mode=config.get("pool_mode", "transaction"), pool_size=int(config.get("pool_size", 20)),
        round_robin=config.get("server_round_robin") == "true", auth="trust",
        databases={"app": Database([("127.0.0.1", stage.port)])},
        servers=[("127.0.0.1", stage.port)],
        options={"http": f"127.0.0.1:{stage.http}", **options})
    stage.play(target.address)
