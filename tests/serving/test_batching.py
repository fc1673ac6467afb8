"""The batcher: a text is what it is alone, whoever else is written; slots, queue, cancelling, an orderly end."""

import random
import threading
import time

import pytest
from small_bundle import exported

from gdcore.serving.arguments import Manner
from gdcore.serving.batching import Batcher, Busy, Closed
from gdcore.serving.session import Session
from gdcore.serving.stepping import Stepper, Writing


@pytest.fixture(scope="module")
def opened() -> Session:
    return Session(exported() / "bundle")


def texts(opened: Session, num: int, start: int = 0, **how: float) -> list[Writing]:
    return [opened.writing("bal gut" if i % 3 else None, i, Manner(**how)) for i in range(start, start + num)]


class Listening:
    """Waits for texts that a batcher writes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.most = 0

    def __call__(self, writings: list[Writing]) -> None:
        with self._changed:
            self.most = max(self.most, len(writings))
            self._changed.notify_all()

    def wait(self, writings: list[Writing], seconds: float = 60) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: all(each.over for each in writings), seconds)


def test_texts_are_what_they_are_alone(opened: Session):
    listening = Listening()
    batcher = Batcher(opened.stepper(), listening, slots=8, queue=1000)
    manners = [{}, {"temperature": 0.5}, {"top_p": 0.7}, {"top_k": 5}, {"top_k": 9, "min_p": 0.1}, {"temperature": 0}]
    asked, randomly = list[Writing](), random.Random(0)
    for i in range(30):
        some = texts(opened, randomly.randint(1, 4), start=10 * i, **manners[i % len(manners)])
        asked += some
        batcher.submit(some)
        time.sleep(randomly.random() * 0.01)
    listening.wait(asked)
    assert 1 < listening.most <= 8
    for each in asked[::4]:
        alone = Writing(each.given, each.seed, each.manner, each.longest)
        (group,) = [Listening()]
        single = Batcher(opened.stepper(), group)
        single.submit([alone])
        group.wait([alone])
        single.close()
        assert (each.drawn, each.finish) == (alone.drawn, alone.finish)
    batcher.close()
    assert batcher.join(20)


def test_queue_and_close(opened: Session):
    """Who finds the queue full is told when to come again; who was accepted is served, even if nobody else may come."""
    listening = Listening()
    batcher = Batcher(opened.stepper(), listening, slots=2, queue=4)
    accepted = texts(opened, 6)
    batcher.submit(accepted)
    with pytest.raises(Busy, match=r"queue is full: try again in \d+ s") as told:
        batcher.submit(texts(opened, 6))
    assert 1 <= told.value.seconds <= 30
    batcher.close()
    with pytest.raises(Closed):
        batcher.submit(texts(opened, 1))
    assert batcher.join(60)
    assert all(each.finish for each in accepted)


def test_who_is_cancelled_makes_room(opened: Session):
    listening = Listening()
    batcher = Batcher(opened.stepper(), listening, slots=1, queue=2)
    first, *others = texts(opened, 3)
    batcher.submit([first, *others])
    for each in (first, *others):
        each.cancelled = True
    later = texts(opened, 3, start=9)
    for _ in range(100):
        try:
            batcher.submit(later)
            break
        except Busy:
            time.sleep(0.01)
    listening.wait(later)
    assert all(each.finish for each in later)
    assert not any(each.finish for each in others)
    batcher.close()
    assert batcher.join(20)


def test_a_failure_is_told_to_those_who_wait(opened: Session, caplog: pytest.LogCaptureFixture):
    stepper, listening = opened.stepper(), Listening()

    class Failing(Stepper):
        def __init__(self) -> None:
            self.__dict__ = dict(stepper.__dict__)

        def __call__(self, *states, **inputs):
            raise MemoryError("no room")

    batcher = Batcher(Failing(), listening, slots=1)
    asked = texts(opened, 3)
    batcher.submit(asked)
    listening.wait(asked)
    assert batcher.join(20)
    assert isinstance(batcher.failure, MemoryError)
    assert not any(each.finish for each in asked)
    with pytest.raises(Closed):
        batcher.submit(texts(opened, 1))
    assert "no room" in caplog.text
