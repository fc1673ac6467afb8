"""Known vulnerabilities of the dependencies that `constraints.txt` names; `make audit`, and so `make check`, run it.

Without a network, or behind an index that has no advisories, nothing can be said: then it says that, and does not fail.
"""

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern gdflow, each with the reason."""


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip"]
    done = subprocess.run([*command, "-f", "json", "--progress-spinner", "off"], capture_output=True, text=True)
    if not done.stdout:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if "ConnectionError" not in last and "ServiceError" not in last:
            print(done.stderr, file=sys.stderr)
            return done.returncode or 1
        print("dependencies not audited: no advisories can be reached from here")
        return 0
    dependencies = json.loads(done.stdout)["dependencies"]
    audited = [each for each in dependencies if "vulns" in each]
    found = [(each, flaw) for each in audited for flaw in each["vulns"] if flaw["id"] not in ACCEPTED]
    for each, flaw in found:
        mended = ", ".join(flaw["fix_versions"]) or "no version yet"
        print(f"{each['name']} {each['version']}: {flaw['id']}, mended in {mended}", file=sys.stderr)
    unknown = len(dependencies) - len(audited)
    rest = f"; of {unknown} others the index here has no advisories" if unknown else ""
    print(f"{len(audited)} dependencies audited, {len(found)} known flaws{rest}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
