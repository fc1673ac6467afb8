"""Everything that a server must know to run gdflow: work pool, limits, deployments, automations.

    python -m flows.deploying       # on the server of PREFECT_API_URL; `gdflow up` and `gdflow deploy` do it too

Any number of times: what is there is brought up to date. Work is done in the folder that GDFLOW_HOME names.
"""

import os
import subprocess
import sys

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from flows import automations, hooks, pools
from flows.up import DEPLOYMENTS, POOL, PREFECT
from gdcore.errors import UserError
from tasks import slots


def main() -> None:
    """Pool, limits, deployments, automations, in this order: each names those before."""
    with get_client(sync_client=True) as client:
        kind = os.environ.get("GDFLOW_POOL", "process")
        template = pools.template(kind)
        try:
            known = client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type=kind, base_job_template=template or {}))
        else:
            if known.type != kind:
                sys.exit(
                    f"the work pool {POOL!r} of this server is of the kind {known.type}, not {kind}. Delete it there "
                    f"first (`prefect work-pool delete {POOL}`): its kind cannot be changed."
                )
            if template:
                client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))
    slots.ensure(slots.TRAINING, int(os.environ.get("GDFLOW_TRAININGS", "1")))
    deployed = subprocess.run([*PREFECT, "deploy", "--all", "--prefect-file", str(DEPLOYMENTS)], check=False)
    if deployed.returncode:
        sys.exit(deployed.returncode)
    hooks.say_what_was_left_unsaid()
    print("\n".join(automations.apply(os.environ.get("GDFLOW_NOTICES"))))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
