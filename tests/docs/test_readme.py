"""The job that the README shows runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
ORDERS = '{"sku": "apple", "count": 3}\n{"sku": "durian", "count": 1}\n'


def test_the_first_job_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    found = re.search(r"<!-- first job: begin.*?```python\n(.*?)```", README.read_text(), re.S)
    assert found is not None
    (tmp_path / "orders.py").write_text(found[1])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.jsonl").write_text(ORDERS)
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", "run", "orders.py"],
        cwd=tmp_path,
        env={"XDG_STATE_HOME": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert lines_of(tmp_path / "data" / "priced") == ['{"sku":"apple","cents":120}']
    dead = lines_of(tmp_path / "data" / "failed")
    assert len(dead) == 1
    assert "durian" in dead[0]


def lines_of(folder: Path) -> list[str]:
    """The lines of all part files of an output."""
    return [line for part in folder.glob("part-*") for line in part.read_text().splitlines()]
