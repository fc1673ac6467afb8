"""Asks a server as KServe's client and Triton's do, in an environment that has both; prints their answers as JSON.

python kserve_clients.py HOST:PORT KEY MODEL
"""

import asyncio
import json
import sys
from typing import Any

from kserve import InferenceRESTClient, RESTConfig
from tritonclient.http import InferenceServerClient


async def health(url: str, headers: dict[str, str], model: str) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    return {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model, headers=headers),
    }


def metadata(address: str, headers: dict[str, str], model: str) -> dict[str, Any]:
    with InferenceServerClient(address) as client:
        return {
            "server_live": client.is_server_live(),
            "server_ready": client.is_server_ready(),
            "model_ready": client.is_model_ready(model, headers=headers),
            "stranger_ready": client.is_model_ready(model),
            "server": client.get_server_metadata(headers),
            "model": client.get_model_metadata(model, headers=headers),
        }


def main() -> None:
    address, key, model = sys.argv[1:]
    headers = {"authorization": f"Bearer {key}"}
    kserve = asyncio.run(health(f"http://{address}", headers, model))
    print(json.dumps({"kserve": kserve, "triton": metadata(address, headers, model)}))


if __name__ == "__main__":
    main()
