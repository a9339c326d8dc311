"""The Markdown of what `benchmarks/site_training.py` wrote: one section a site.

python benchmarks/site_table.py x.json y.json > results/site_training.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from site_training import AS_IT_CAME, Rates

HEAD = """# Pictures of one's own camera

Made by `benchmarks/site_training.py`, which says how, and `benchmarks/site_table.py`. A site has pictures of
a few people, bona fide and attacks. *As it came*: the network and its thresholds know other data sets alone.
*Own threshold*: chosen on all the site's people. *Trained on*: half of them train the network further (`train
liveness --recipe site`), the threshold comes from the other half. *eer* and *centres* are the rules of the
threshold (docs/metrics.md). Figures are means over draws of people; brackets hold the lowest and the highest
end of the draws' 95 % intervals over the judged people. *Elsewhere*: mean AUC over the data sets that the
network came with (test people, one frame a recording)."""


def rendered(records: list[dict[str, Any]]) -> str:
    """The Markdown of some sites: each rate as its mean over the draws of people."""
    lines = []
    for record in records:
        one = next(iter(record["rows"][0]["words"].values()))
        lines += [
            "",
            f"## {record['site']}",
            "",
            f"Judged on {one['n_bona_fide']} bona fide pictures and {one['n_attack']} attacks of {one['people']} "
            f"{record['judged']} people. The network came from {record['start_epochs']} epochs of the recipe "
            f"`strangers` on {', '.join(record['learnt'])} (commit {record['start'][:12]}); measured at commit "
            f"{record['commit'][:12]}.",
            "",
            "| people of the site | what | word | AUC | EER % | HTER % | APCER % | BPCER % | AUC elsewhere |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        groups: dict[tuple[int, str], list[Rates]] = {}
        for row in record["rows"]:
            groups.setdefault((row["people"], row["what"]), []).append(row["words"])
        for (people, what), draws in groups.items():
            if what == AS_IT_CAME and people != record["rows"][0]["people"]:
                continue  # the same whoever the site's people are
            for word in draws[0]:
                lines.append(
                    _line("any" if what == AS_IT_CAME else str(people), what, word, [d[word] for d in draws])
                )
    return "\n".join([HEAD, *lines])


def _line(people: str, what: str, word: str, draws: list[dict[str, Any]]) -> str:
    def shown(name: str, form: str, factor: float = 100) -> str:
        values = np.array([draw[name] for draw in draws]) * factor
        return form.format(values[:, 0].mean(), values[:, 1].min(), values[:, 2].max())

    columns = [shown("auc", "{0:.3f} ({1:.3f} to {2:.3f})", 1), shown("eer", "{0:.1f}")]
    columns += [shown("acer_pooled", "{0:.1f} ({1:.1f} to {2:.1f})")]
    columns += [shown(name, "{0:.1f}") for name in ("apcer_pooled", "bpcer")]
    elsewhere = float(np.mean([draw["elsewhere"] for draw in draws]))
    return f"| {people} | {what} | {word} | {' | '.join(columns)} | {elsewhere:.3f} |"


if __name__ == "__main__":
    print(rendered([json.loads(Path(name).read_text()) for name in sys.argv[1:]]))
