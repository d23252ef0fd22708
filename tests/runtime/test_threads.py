"""The limit to one thread holds inside the block only."""

from __future__ import annotations

import pytest
import torch

from runtime.threads import one_thread


def test_one_thread_inside_and_the_former_number_after() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == before
