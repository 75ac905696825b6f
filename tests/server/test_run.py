"""What wakes the parent of the workers."""

import signal
import threading

import pytest

from frumious.server.run import _Waking


@pytest.fixture
def asked():
    """Signals that were heeded; `waited` where nothing woke the one that waits in the end."""
    heeded = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heeded.append("signal"))
    wakeup = signal.set_wakeup_fd(-1)
    yield heeded
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_another_thread_receives_wakes_the_parent(asked):
    """As the second of two that come together: `threading.Event` sleeps on."""
    waking = _Waking(lambda: bool(asked))

    def give_up():
        asked.append("waited")
        waking.set()

    late = threading.Timer(10, give_up)
    late.start()
    other = threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1))
    other.start()
    waking.wait()
    late.cancel()

    assert asked == ["signal"]


def test_what_was_asked_before_is_not_waited_for(asked):
    waking = _Waking(lambda: bool(asked))
    signal.raise_signal(signal.SIGUSR1)
    waking.clear()
    waking.wait()

    assert asked == ["signal"]


def test_another_thread_wakes_it_and_no_number_of_reasons_is_too_much(asked):
    waking = _Waking(lambda: len(asked) == 2)
    for _ in range(100_000):  # more than a pipe holds
        waking.set()

    def ask():
        asked.extend(["child", "child"])
        waking.set()

    threading.Timer(0.1, ask).start()
    waking.wait()

    assert asked == ["child", "child"]
