"""``python -m tests.hostile.fuzz --runs 20000``: coverage-guided mutations of valid files, by Atheris.

Every kind of file gets the same share of the runs, in a process of its own. Our readers are instrumented, and with them
what they lean on in the standard library and in NumPy; Pillow's and Arrow's native code is not, so that of these only
crashes are noticed. ``judge`` is the law, and ``SECONDS`` and ``MEGABYTES`` are part of it. An input that breaks it is
kept in the current folder as ``crash-...``, ``timeout-...`` or ``oom-...``; ``--again KIND FILE`` tries it once more.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

INSTRUMENTED = ["ot3l_core.data", "zipfile", "tarfile", "pickletools", "numpy.lib"]
SECONDS = 30
MEGABYTES = 4000


def fuzz(kind, options):
    """Fuzz one kind of file as libFuzzer's options say; does not return."""
    import atheris  # noqa: PLC0415 - only where there are wheels of it

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.hostile.law import judge  # noqa: PLC0415 - not before they can be instrumented

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch

        def try_one(content):
            with tempfile.TemporaryDirectory() as folder:
                judge(kind, content, Path(folder))
            assert list(Path(scratch).iterdir()) == [], "something is left behind"

        atheris.Setup([sys.argv[0], *options], try_one)
        atheris.Fuzz()


def run_in_its_own_process(kind, inputs, *, runs, seed):
    """Fuzz one kind of file from some inputs.

    Returns:
        How many inputs were tried; the report of the process where one broke the law.
    """
    limits = [f"-runs={runs}", f"-seed={seed}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", "-max_len=20000"]
    command = [
        sys.executable,
        "-m",
        "tests.hostile.fuzz",
        "--kind",
        kind,
        "--",
        *limits,
        "-print_final_stats=1",
        *inputs,
    ]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    counts = [line.split()[-1] for line in run.stderr.splitlines() if "number_of_executed_units" in line]
    return int(counts[-1]) if counts else 0, run.stderr if run.returncode else None


def main():
    """Fuzz all kinds, one after the other, and say how many inputs kept the law."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="inputs, of all kinds together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", help="only this one, with libFuzzer's own options behind --")
    parser.add_argument("--again", nargs=2, metavar=("KIND", "FILE"), help="try one input once more")
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    if asked.again:
        from tests.hostile.law import judge  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder:
            sys.exit(judge(asked.again[0], Path(asked.again[1]).read_bytes(), Path(folder)) or "it was read")
    if asked.kind:
        fuzz(asked.kind, asked.options)
    from tests.hostile.seeds import SEEDS  # noqa: PLC0415

    total, broken = 0, []
    for kind, make in SEEDS.items():
        with tempfile.TemporaryDirectory() as corpus:
            for number, content in enumerate(make()):
                (Path(corpus) / str(number)).write_bytes(content)
            tried, fault = run_in_its_own_process(kind, [corpus], runs=asked.runs // len(SEEDS), seed=asked.seed)
        total += tried
        sys.stdout.write(f"{kind:<8} {tried:>7} inputs  {'an input broke the law' if fault else 'kept the law'}\n")
        if fault:
            broken.append(kind)
            sys.stdout.write(fault[-3000:] + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total} inputs, broken: {', '.join(broken) or 'none'}\n")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
