"""Write the tables of docs/settings.md from the table of settings, or check that they are fresh.

python sdk/settings_page.py          writes the tables into docs/settings.md
python sdk/settings_page.py --check  exits 1 where they differ
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from clearway._settings.table import TABLE, Part, Setting

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"

_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """Return the page with fresh tables."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(Part[found[2]])}{found[3]}", text)


def table(part: Part) -> str:
    """Return the table of a part's settings in Markdown."""
    rows = "".join(_row(setting) for setting in TABLE.values() if setting.part is part)
    return f"| variable | what | value | default |\n| --- | --- | --- | --- |\n{rows}"


def _row(setting: Setting) -> str:
    return f"| `{setting.variable}` | {setting.what} | {setting.kind.expected} | {_default(setting)} |\n"


def _default(setting: Setting) -> str:
    if setting.default_of:
        return f"that of `{TABLE[setting.default_of].variable}`"
    if setting.in_home:
        return f"`{setting.default}` in the home"
    return f"`{setting.default}`" if setting.default else ""


def main() -> int:
    """Run as the module's docstring says; return the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    fresh = page(text)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(fresh, encoding="utf-8")
    elif text != fresh:
        print(f"stale: {PAGE.relative_to(ROOT)}; run `make settings`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
