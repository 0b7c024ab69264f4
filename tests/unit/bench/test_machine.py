"""Tests of `bench/machine.py`: how a run names its machine."""

from bench.machine import model_in, siblings_in


def test_a_kernel_cpu_list_may_hold_single_cores_and_ranges() -> None:
    assert siblings_in("0,4\n") == {0, 4}
    assert siblings_in("2-3,8") == {2, 3, 8}


def test_the_model_is_the_first_one_named() -> None:
    assert (
        model_in("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: other\n")
        == "Some CPU @ 3 GHz"
    )
    assert model_in("processor : 0\n") == ""
