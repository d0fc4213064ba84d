"""Training a retriever: every stage learns, and a kill changes nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import torch
from tests.neural.retriever_samples import SAMPLES, SEED, capacities_of, small_plan
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BartForConditionalGeneration

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.manifest import WEIGHTS, RetrieverInvalid, read_manifest
from kae.encoders.retriever.network import Retriever
from kae.encoders.retriever.plan import StagePlan
from kae.encoders.retriever.samples import STAGES, Sample
from kae.encoders.retriever.sampling import WINDOW, StageBatches
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import END, FEWEST, UNKNOWN, TextTokens
from kae.encoders.retriever.training import (
    CHECKPOINT,
    CURVE,
    TrainingDiffers,
    TrainingDiverged,
    train,
)
from kae.streams.retrieval.curve import draw_curve, read_curve

# Trains in a process of its own, with a checkpoint after each step.
PROGRAM = """
import sys
from pathlib import Path
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.retriever.training import train
from tests.neural.retriever_samples import SAMPLES, SEED, capacities_of, small_plan, stage_samples
codebook = Codebook.load(Path(sys.argv[1]))
train(
    stage_samples(codebook), small_plan(SAMPLES), capacities_of(codebook),
    Path(sys.argv[2]), seed=SEED, codebook=codebook.fingerprint, checkpoint_seconds=0.0,
)
"""


@pytest.mark.timeout(300)
def test_every_stage_learns_what_it_is_asked(model_folder: Path, samples: StageSamples) -> None:
    points = read_curve(model_folder)
    assert list(dict.fromkeys(point.stage for point in points)) == list(STAGES)
    manifest = read_manifest(model_folder)
    assert [(one.name, one.steps) for one in manifest.stages] == [
        (stage, SAMPLES // 32) for stage in STAGES
    ]
    untrained = Retriever.create(
        manifest.plan, TextTokens.load(model_folder), manifest.capacities, seed=SEED
    ).eval()
    trained = Retriever.load(model_folder)
    for tasks in STAGES.values():
        for task in tasks:
            asked = samples.of(task)[:32]
            assert asked, task
            before, after = (
                float(model.loss(model.batch(model.tokens.pairs(asked))).detach())
                for model in (untrained, trained)
            )
            assert after < before, task


@pytest.mark.timeout(600)
def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(
    model_folder: Path, codebook_folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(codebook_folder), str(tmp_path)]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root / "src"), str(root), *filter(None, sys.path)])
    kills = 0
    for least in (3, 25, 50):  # steps, in different stages
        training = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
        while training.poll() is None and not _has_taken(tmp_path, least):
            time.sleep(0.02)
        if training.poll() is None:
            training.send_signal(signal.SIGKILL)
            kills += 1
        training.wait()
    assert kills >= 2
    assert not (tmp_path / WEIGHTS).exists()
    subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=True)
    assert (tmp_path / WEIGHTS).read_bytes() == (model_folder / WEIGHTS).read_bytes()
    assert (tmp_path / CURVE).read_bytes() == (model_folder / CURVE).read_bytes()
    assert read_manifest(tmp_path) == read_manifest(model_folder)
    assert not (tmp_path / CHECKPOINT).exists()


def _has_taken(folder: Path, steps: int) -> bool:
    """Whether the checkpoint of a training has so many steps; they are counted over all stages."""
    try:
        found = torch.load(folder / CHECKPOINT, weights_only=True)
    except (FileNotFoundError, EOFError):
        return False
    return bool(found["stage"] * (SAMPLES // 32) + found["step"] >= steps)


@pytest.mark.timeout(300)
def test_another_training_does_not_go_on_in_a_folder(
    samples: StageSamples, codebook: Codebook, model_folder: Path
) -> None:
    def again(drawn: int, seed: int) -> Retriever:
        return train(
            samples,
            small_plan(drawn),
            capacities_of(codebook),
            model_folder,
            seed=seed,
            codebook=codebook.fingerprint,
        )

    with pytest.raises(TrainingDiffers, match=r"different: seed"):
        again(SAMPLES, SEED + 1)
    with pytest.raises(TrainingDiffers, match=r"different: plan"):
        again(SAMPLES + 32, SEED)
    assert again(SAMPLES, SEED).parameter_count == read_manifest(model_folder).parameters


@pytest.mark.timeout(300)
def test_transformers_loads_the_folder_and_gives_the_scores_of_the_loss(
    model_folder: Path, samples: StageSamples
) -> None:
    retriever = Retriever.load(model_folder)
    bart = BartForConditionalGeneration.from_pretrained(
        str(model_folder), local_files_only=True
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(model_folder), local_files_only=True)
    sample = samples.of("retrieve")[0]
    assert tokenizer(sample.text)["input_ids"] == retriever.texts.encode([sample.text])[0]
    assert retriever.texts.decode(tokenizer(sample.text)["input_ids"]) == sample.text
    (pair,) = retriever.tokens.pairs([sample])
    with torch.inference_mode():
        logits = bart(
            input_ids=torch.tensor([pair.source]),
            decoder_input_ids=torch.tensor([[END, *pair.target[:-1]]]),
        ).logits[0]
    # By hand: each position among its own slots, the first two weighing twice.
    weights = [2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    total = 0.0
    for position, weight in enumerate(weights):
        own = retriever.layout.tokens_of(position)
        wanted = torch.tensor(pair.target[position] - own.start)
        total += weight * float(cross_entropy(logits[position, own.start : own.stop], wanted))
    loss = float(retriever.loss(retriever.batch([pair], weights)).detach())
    assert loss == pytest.approx(total / sum(weights), rel=1e-5)
    settings = bart.generation_config
    assert (settings.num_beams, settings.do_sample, settings.length_penalty) == (64, False, 0.0)


def test_some_slots_are_hidden_from_those_that_follow_and_nothing_else_is() -> None:
    words = Sample("retrieve", text="tea", target_slots=(1, 2, 1, 0, 2, 1))
    title = Sample("identifier_to_title", slots=(1, 2, 1, 0, 2, 1), target_text="tea pot")
    samples = StageSamples([words, title])
    texts = TextTokens.train(samples.texts(), FEWEST)
    retriever = Retriever.create(small_plan(32), texts, (3,) * 6, seed=0)
    pairs = retriever.tokens.pairs([words] * 400 + [title] * 20)
    whole = retriever.batch(pairs)
    torch.manual_seed(1)
    some = retriever.batch(pairs, prefix_dropout=0.25)
    hidden = some.shifted != whole.shifted
    # Five slots precede others, each hidden in a quarter of the samples; a text never is.
    assert 0.2 < hidden[:400, 1:6].float().mean() < 0.3
    assert not hidden[:, 0].any()
    assert not hidden[400:].any()
    assert set(some.shifted[hidden].tolist()) == {UNKNOWN}
    assert torch.equal(some.source, whole.source)
    for one, other in zip(some.losses, whole.losses, strict=True):
        assert torch.equal(one.wanted, other.wanted)
    torch.manual_seed(1)
    assert torch.equal(retriever.batch(pairs, prefix_dropout=0.25).shifted, some.shifted)


def test_every_sample_of_a_task_comes_once_before_any_comes_again() -> None:
    samples = StageSamples(
        Sample("title_to_type", text=f"title {n}", target_text=str(n)) for n in range(10)
    )
    plan = StagePlan("S1", 100, 1e-3, {"title_to_type": 2.0, "query_to_type": 1.0})
    texts = TextTokens.train(samples.texts(), FEWEST)
    tokens = Retriever.create(small_plan(32), texts, (3,) * 6, seed=0).tokens
    batches = StageBatches(plan, samples, tokens, batch=4, seed=1)
    assert batches.steps == 25
    drawn = [tuple(pair.target) for step in range(WINDOW) for pair in batches.batch(step)]
    assert len(drawn) == 4 * WINDOW
    counts = Counter(drawn).values()
    # 64 of ten: six times each, and four of them once more.
    assert sorted(counts) == [6] * 6 + [7] * 4
    alone = StageBatches(plan, samples, tokens, batch=4, seed=1)
    assert alone.batch(20) == batches.batch(20)
    other = StageBatches(plan, samples, tokens, batch=4, seed=2)
    assert [other.batch(n) for n in range(3)] != [batches.batch(n) for n in range(3)]


def test_a_stage_without_samples_takes_no_steps(codebook: Codebook, tmp_path: Path) -> None:
    samples = StageSamples(
        Sample("title_to_identifier", text=f"lamp {n}", target_slots=(n, 0, 0, 0, 0, 0))
        for n in range(5)
    )
    train(samples, small_plan(32), capacities_of(codebook), tmp_path, seed=1)
    assert [(one.name, one.steps) for one in read_manifest(tmp_path).stages] == [
        ("S0", 0),
        ("S1", 1),
        ("S2", 0),
        ("S3", 0),
    ]


def test_a_loss_that_is_no_number_ends_the_training_with_its_remedy(
    codebook: Codebook, tmp_path: Path
) -> None:
    samples = StageSamples(
        [Sample("title_to_identifier", text="lamp", target_slots=(1, 0, 0, 0, 0, 0))]
    )
    plan = small_plan(32 * 40)
    wild = tuple(msgspec.structs.replace(stage, rate=1e30) for stage in plan.stages)
    with pytest.raises(TrainingDiverged, match=r"stage S1 is nan at step 25 of 40; lower its rate"):
        train(
            samples,
            msgspec.structs.replace(plan, stages=wild),
            capacities_of(codebook),
            tmp_path,
            seed=1,
        )
    with pytest.raises(RetrieverInvalid):
        read_manifest(tmp_path)


def test_a_text_vocabulary_is_the_same_whatever_the_order_of_texts(
    samples: StageSamples, tmp_path: Path
) -> None:
    texts = [*samples.texts()]
    one, other = tmp_path / "one", tmp_path / "other"
    TextTokens.train(texts, 1024).save(one)
    TextTokens.train(reversed(texts), 1024).save(other)
    assert (one / "tokenizer.json").read_bytes() == (other / "tokenizer.json").read_bytes()
    assert TextTokens.load(one).decode(TextTokens.load(one).encode(["Zorblax 罗技"])[0]) == (
        "zorblax 罗 技"
    )


def test_a_picture_has_the_curve_of_every_stage(model_folder: Path) -> None:
    picture = draw_curve(read_curve(model_folder))
    assert picture == draw_curve(read_curve(model_folder))
    for stage in STAGES:
        assert f">{stage}<".encode() in picture


def test_weights_of_another_training_are_refused(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    weights = bytearray((tmp_path / "model" / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model" / WEIGHTS).write_bytes(weights)
    with pytest.raises(
        RetrieverInvalid, match=r"model\.safetensors: its hash is .*kae model train"
    ):
        Retriever.load(tmp_path / "model")


def test_a_folder_that_is_no_model_is_refused_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(RetrieverInvalid, match=r"no model .*kae model train"):
        Retriever.load(tmp_path)
    (tmp_path / "retriever.json").write_bytes(msgspec.json.encode({"format": 99}))
    with pytest.raises(RetrieverInvalid, match=r"retriever\.json"):
        read_manifest(tmp_path)
