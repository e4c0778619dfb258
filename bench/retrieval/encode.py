"""Seconds to encode SciFact with all-MiniLM-L6-v2: contrarian against sentence-transformers on PyTorch.

    cargo build --release --workspace --examples
    python bench/retrieval/encode.py --model FOLDER --scifact FOLDER --example target/release/examples/encode

Two sets of texts: abstracts with their titles, and claims, the first 512 of each. Rounds alternate, and the order of
the two changes from round to round; medians are given. Both use `--threads` threads and batches of 32.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time


def texts(folder: pathlib.Path, count: int) -> dict[str, list[str]]:
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line, _ in zip(lines, range(count))]
    with open(folder / "claims_train.jsonl", encoding="utf-8") as lines:
        claims = [json.loads(line)["claim"] for line, _ in zip(lines, range(count))]
    abstracts = [" ".join([document["title"], *document["abstract"]]) for document in documents]
    return {
        name: [" ".join(text.split()) for text in of_kind]
        for name, of_kind in [("abstracts", abstracts), ("claims", claims)]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--scifact", type=pathlib.Path, required=True)
    parser.add_argument("--example", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--texts", type=int, default=512, help="how many of each kind")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    import numpy
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(arguments.threads)
    model = SentenceTransformer(str(arguments.model), device="cpu", local_files_only=True)
    for name, sentences in texts(arguments.scifact, arguments.texts).items():
        with tempfile.TemporaryDirectory() as folder:
            lines, out = pathlib.Path(folder) / "texts", pathlib.Path(folder) / "rows"
            lines.write_text("\n".join(sentences), encoding="utf-8")
            process = subprocess.Popen(
                [arguments.example, arguments.model, lines, out, str(arguments.batch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"RAYON_NUM_THREADS": str(arguments.threads)},
            )

            def ours() -> float:
                process.stdin.write("\n")
                process.stdin.flush()
                return float(process.stdout.readline())

            def theirs() -> float:
                start = time.perf_counter()
                model.encode(sentences, batch_size=arguments.batch, normalize_embeddings=True, show_progress_bar=False)
                return time.perf_counter() - start

            seconds = {ours: [], theirs: []}
            for round in range(arguments.rounds + 1):
                for side in [ours, theirs] if round % 2 else [theirs, ours]:
                    second = side()
                    if round > 0:  # The first warms up.
                        seconds[side].append(second)
            process.stdin.close()
            process.wait()
            found = numpy.fromfile(out, dtype="<f4").reshape(len(sentences), -1)
            expected = model.encode(sentences, batch_size=arguments.batch, normalize_embeddings=True)
            difference = numpy.abs(found - expected).max()
        us, them = statistics.median(seconds[ours]), statistics.median(seconds[theirs])
        least = min(seconds[theirs]) / min(seconds[ours])
        print(
            f"{name}: {len(sentences)} texts; contrarian {us:.3f} s, sentence-transformers {them:.3f} s, "
            f"{them / us:.2f} times as fast ({least:.2f} by the best rounds); largest difference {difference:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
