"""``python -m app.cli``, where no script is installed."""

from app.cli.main import main

main()
