"""What a process tells at /metrics."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from tests.fetching import fetch


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer of /metrics; `families` as the list of metrics names them."""

    families: frozenset[str]
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float]

    def value(self, name: str, **labels: str) -> float:
        """Raises: KeyError when it is not told."""
        return self.samples[name, tuple(sorted(labels.items()))]

    def total(self, name: str, **labels: str) -> float:
        """The sum of those that have these labels; 0 for none."""
        return sum(
            value
            for (told, has), value in self.samples.items()
            if told == name and labels.items() <= dict(has).items()
        )

    def shards(self, name: str) -> set[int]:
        """The shards that a metric is told of."""
        return {int(dict(has)["shard"]) for told, has in self.samples if told == name}


def scrape(url: str) -> Scrape:
    text = fetch(f"{url}/metrics").raise_for_status().text
    families = [f for f in text_string_to_metric_families(text) if f.name.startswith("kae_")]
    return Scrape(
        frozenset(f"{f.name}_total" if f.type == "counter" else f.name for f in families),
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        },
    )
