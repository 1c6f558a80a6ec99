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
    lines = [line for part in (tmp_path / "data" / "priced").glob("part-*") for line in part.open()]
    assert lines == ['{"sku":"apple","cents":120}\n']
    dead = [line for part in (tmp_path / "data" / "failed").glob("part-*") for line in part.open()]
    assert len(dead) == 1
    assert "durian" in dead[0]
