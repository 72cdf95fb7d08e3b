"""The command line in this process: its status, what it writes, and what it says."""

import json
from dataclasses import dataclass

import pytest

from app.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self):
        """Standard output as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def ot3l(monkeypatch, capsys, tmp_path):
    """Runs a command line, in a folder of its own and without settings of the shell."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("OT3L_URL", "OT3L_API_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["ot3l", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Ended(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def there(ot3l, url):
    """The same, of the application that answers over real connections."""
    return lambda *arguments: ot3l("--url", url, *arguments)
