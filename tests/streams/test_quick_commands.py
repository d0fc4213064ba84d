"""Commands that only ask a replica begin at once: what indexing needs is not loaded for them."""

import subprocess
import sys

SLOW = ("aiokafka", "faust", "kafka", "matplotlib", "numpy", "pyarrow", "rocksdict", "torch")


def test_asking_a_replica_loads_no_library_of_indexing() -> None:
    modules = ("cli.main", "cli.term", "cli.item", "replica_api.client")
    loaded = "; ".join(f"import kae.streams.{module}" for module in modules)
    told = f"import sys; {loaded}; print(*sorted(set({SLOW}) & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
