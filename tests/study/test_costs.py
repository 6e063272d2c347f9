"""What a study costs: the paper's by hand, and the jobs with and without data."""

import re
from pathlib import Path

import pytest

from xling.errors import XlingError
from xling.study.config import StudyConfig
from xling.study.costs import finetuned_models, variant_costs
from xling.study.hardware import find_hardware, known_hardware
from xling.study.plan import Planner
from xling.study.plan_text import Outline, plan_study

PAPER = Path(__file__).parents[2] / "studies" / "paper"


@pytest.fixture(scope="module")
def paper():
    study = StudyConfig.load(PAPER / "default.yaml")
    (cost,) = variant_costs(study, Outline(study).plan(), find_hardware("8xv100", 1))
    return cost


def test_the_paper_s_run_is_its_epochs(paper):
    # 200 epochs of 200,000 streams on each of 8 GPUs, 256 tokens a stream
    assert paper.training.tokens == pytest.approx(200 * 200_000 * 8 * 256, rel=1e-5)


def test_the_paper_s_run_takes_about_three_days_on_eight_v100(paper):
    # Every product of a step by hand, [rows, inner] x [inner, columns] as rows, inner, columns
    rows, T, d, F, V, heads = 96, 256, 768, 3072, 80_000, 12
    tokens, predicted = rows * T, 0.15 * rows * T
    attention = [(tokens, d, d)] * 4
    attention += [(T, d // heads, T), (T, T, d // heads)] * (rows * heads)
    layers = [*attention, (tokens, d, F), (tokens, F, d)] * 7 + attention
    head = [(predicted, d, F), (predicted, F, d), (predicted, d, d), (predicted, d, V)]
    forward = sum(2 * n * k * m for n, k, m in layers + head)
    by_hand = 3 * forward * 8 * 200 * 200_000 / rows
    assert paper.training.flops == pytest.approx(by_hand, rel=1e-5)

    hardware = find_hardware("8xv100", 1)
    assert hardware.peak == 125e12
    days = by_hand / (8 * 125e12 * hardware.utilisation) / 86_400
    assert hardware.seconds(paper.flops) == pytest.approx(days * 86_400, rel=1e-5)
    assert 2.7 < days < 3.3
    # As batches, its epochs could not be meant: 35 days at the very peak
    assert 96 * by_hand / (8 * 125e12) / 86_400 > 30


def test_memory_and_disk_of_the_paper_s_run(paper):
    parameters = paper.parameters.total
    memory = paper.training.memory
    assert memory[:3] == (6 * parameters, 4 * parameters, 8 * parameters)
    # The logits of 96 streams alone are 1.2 GB, in single precision and three times.
    assert memory.activations > 3 * 4 * 0.15 * 96 * 256 * 80_000
    assert memory.total < find_hardware("v100", 1).memory
    # Two checkpoints of weights and two moments, twelve snapshots of two bytes, two models
    assert paper.disk_bytes == parameters * (2 * 3 * 4 + 12 * 2 + 2 * 4)


@pytest.mark.parametrize("changes", [{}, {"seeds": [1, 2]}, {"variants": ["default", "sep-emb"]}])
def test_an_outline_has_the_jobs_that_data_will_make(study_file, data, changes):
    study = StudyConfig.load(study_file(**changes))
    outlined, planned = Outline(study).plan(), Planner(study, data).plan()

    def names(plan):
        return [re.sub(r"-[0-9a-f]{8}$", "", job.folder) for job in plan.jobs]

    assert names(outlined) == names(planned)
    hardware = find_hardware("a100", 1)
    assert variant_costs(study, outlined, hardware) == variant_costs(study, planned, hardware)


def test_fine_tuned_models_are_settings_times_seeds(study_file):
    study = StudyConfig.load(
        study_file(
            variants=["default", "sep-emb"],
            seeds=[1, 2],
            transfer={"nli": {"preset": "paper"}, "topics": {"encoder_rates": [1e-3, 1e-4]}},
        )
    )
    assert finetuned_models(Outline(study).plan()) == 2 * 2 * (2 * 3 * 3 + 2)


def test_hardware_by_name_count_and_file(tmp_path):
    assert find_hardware("8xV100", 1).devices == 8
    assert find_hardware("h100", 1, utilisation=0.5).speed == 989e12 / 2
    for device in known_hardware().values():
        assert device.source
        assert device.utilisation_source
    path = tmp_path / "mine.yaml"
    path.write_text("{name: mine, devices: 3, peak: 1.0e+12, memory: 1.0e+9, utilisation: 0.5}")
    assert find_hardware(str(path), 1).seconds(3e12) == 2
    for wrong in ("k80", "0xv100", "xv100"):
        with pytest.raises(XlingError, match=rf"--on {wrong}: no such hardware"):
            find_hardware(wrong, 1)
    path.write_text("{name: mine, peak: 0, memory: 1, utilisation: 0.5}")
    with pytest.raises(XlingError, match=r"mine\.yaml: peak"):
        find_hardware(str(path), 1)


def test_this_machine_is_measured():
    here = find_hardware("this", 1)
    assert here.peak > 1e8
    assert here.devices >= 1


def test_the_text_says_jobs_costs_and_how_they_are_counted(study_file, data):
    path = study_file(transfer=[])
    text = plan_study(path, None, "2xa100", None)
    assert "(counted without data" in text
    assert re.search(r"pretrain +2\n", text)
    assert re.search(r"in all +8\n", text)
    assert "150 steps x 4 rows x 32 tokens = 19,200" in text
    assert "(2 x 312 TFLOP/s x 0.3)" in text
    assert "warning" not in text
    small = path.parent / "small.yaml"
    small.write_text("{name: small, peak: 1.0e+9, memory: 1.0e+3, utilisation: 0.1}")
    given = plan_study(path, data, str(small), None)
    assert "(counted without data" not in given
    assert "a device has 1 kB" in given
    with pytest.raises(XlingError, match="not found"):
        plan_study(path, data / "nowhere", "a100", None)
