"""What a client of the load test does, for locust (`benchmarks.load_serve` runs it): one text after another, no pause.

Every other text is streamed. Of a stream locust learns twice: when the first token has come, and when the last has.
"""

import os
import random
import time

from locust import FastHttpUser, task

LENGTH = int(os.environ["LOAD_LENGTH"])


class Client(FastHttpUser):
    network_timeout = connection_timeout = 120

    def asked(self, stream: bool) -> dict[str, object]:
        return {"seed": random.getrandbits(32), "max_tokens": random.randrange(1, 2 * LENGTH), "stream": stream}

    @task
    def whole(self) -> None:
        with self.client.post("/v1/completions", json=self.asked(False), name="whole", catch_response=True) as answer:
            if answer.status_code != 200 or not answer.json()["choices"][0]["text"]:
                answer.failure(f"status {answer.status_code}: {answer.text}")

    @task
    def stream(self) -> None:
        begun = time.perf_counter()
        with self.client.post(
            "/v1/completions", json=self.asked(True), name="stream", stream=True, catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return
            first = answer.read(1)
            waited = 1e3 * (time.perf_counter() - begun)
            rest = answer.read()
            answer.request_meta["response_time"] = 1e3 * (time.perf_counter() - begun)
            if not (first + rest).endswith(b"data: [DONE]\n\n") or b'"error"' in rest:
                answer.failure(f"a stream that ends with {bytes(rest[-200:])!r}")
            self.environment.events.request.fire(
                request_type="POST",
                name="first token",
                response_time=waited,
                response_length=1,
                exception=None,
                context={},
            )
