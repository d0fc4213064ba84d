"""The topology: topology.yaml, read and checked, with the names and folders that follow from it."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from pydantic import PrivateAttr, ValidationError

from kae.encoders.categories import Group
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.search_form import SearchForm
from kae.streams.topology.consistency import check_consistency
from kae.streams.topology.parts import TopologyParts
from kae.streams.topology.problems import TopologyInvalid, TopologyProblem, from_pydantic
from kae.streams.topology.retriever_part import RetrieverPart
from kae.streams.topology.yaml_lines import KeyPath, Yaml, YamlInvalid, parse

# In a clone this is the root, in an installed package kae/: the reference is beside the packages.
REFERENCE = Path(__file__).resolve().parents[2] / "topology.yaml"
PACKAGE = "package:"


class Topology(TopologyParts):
    """How an index is laid out and paced."""

    _path: Path = PrivateAttr(default=REFERENCE)
    _lines: dict[KeyPath, int] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, path: Path = REFERENCE) -> "Topology":
        """Read and check a file; without a path, the reference.

        Raises: TopologyInvalid, which names every problem by file and line.
        """
        try:
            document = parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TopologyInvalid(
                (
                    TopologyProblem(
                        str(path), 0, (), f"cannot be read: {reason}", "give --topology FILE"
                    ),
                )
            ) from error
        except YamlInvalid as error:
            problem = TopologyProblem(
                str(path), error.line, (), error.reason, "correct the YAML there"
            )
            raise TopologyInvalid((problem,)) from error
        return cls._checked(document, path)

    @classmethod
    def _checked(cls, document: Yaml, path: Path) -> "Topology":
        try:
            topology = cls.model_validate(document.data)
        except ValidationError as error:
            raise TopologyInvalid(from_pydantic(error, document, path, _reference)) from error
        problems = tuple(check_consistency(topology, document, path))
        if problems:
            raise TopologyInvalid(problems)
        topology._path = path
        topology._lines = document.lines
        return topology

    def edited(self, changes: Mapping[str, object]) -> "Topology":
        """Return a checked copy with some values changed: {"kafka.bootstrap": "127.0.0.1:1"}.

        Raises: TopologyInvalid; KeyError for a key path that leads nowhere.
        """
        data = self.model_dump(mode="json")
        for dotted_path, value in changes.items():
            *parents, key = dotted_path.split(".")
            part: Any = data
            for parent in parents:
                part = part[parent]
            part[key] = value
        return self._checked(Yaml(data, self._lines), self._path)

    def write(self, path: Path) -> "Topology":
        """Write this topology to a file, its codebook as an absolute folder, and load that."""
        complete = self
        if not self.codebook.path.startswith(PACKAGE):
            complete = self.edited({"codebook.path": str(self.codebook_folder.resolve())})
        text = yaml.safe_dump(complete.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return Topology.load(path)

    @property
    def path(self) -> Path:
        """The file that this topology was read from."""
        return self._path

    @property
    def codebook_groups(self) -> tuple[Group, ...]:
        """The groups as the encoders know them."""
        return tuple(
            Group(group.name, group.categories, group.capacity, group.reserved)
            for group in self.groups
        )

    @property
    def search_form(self) -> SearchForm:
        """How items and queries are read: numbers, and which letters are folded."""
        kept = normalise("".join(self.folding.keep.values())).replace(" ", "")
        letters = "".join(sorted(set(kept)))
        return SearchForm(letters, decimal_mark=self.catalog.decimal_mark)

    @property
    def retriever_part(self) -> RetrieverPart:
        """The section `retriever`, or that of the reference where it is left out."""
        found = self.retriever or Topology.load().retriever
        if found is None:
            raise LookupError(f"{REFERENCE}: has no retriever")
        return found

    @property
    def codebook_folder(self) -> Path:
        """The folder of the codebook.

        Raises: TopologyInvalid if it is in a package that is not installed.
        """
        path = self.codebook.path
        if not path.startswith(PACKAGE):
            return self._path.parent / path
        module, _, folder = path.removeprefix(PACKAGE).partition("/")
        try:
            spec = find_spec(module)
        except (ModuleNotFoundError, ValueError):
            spec = None
        if spec is None or not spec.submodule_search_locations:
            key: KeyPath = ("codebook", "path")
            reason = f"{path!r} names the package {module!r}, which is not installed"
            line = Yaml(None, self._lines).line_of(key)
            problem = TopologyProblem(
                str(self._path), line, key, reason, "install it or give a folder"
            )
            raise TopologyInvalid((problem,))
        return Path(next(iter(spec.submodule_search_locations))).resolve() / folder

    @property
    def stores_folder(self) -> Path:
        """The folder of the shards' stores."""
        return Path(self.stores.path)

    @property
    def items_topic(self) -> str:
        return f"{self.topics.prefix}.items"

    @property
    def terms_topic(self) -> str:
        return f"{self.topics.prefix}.terms"

    @property
    def behaviours_topic(self) -> str:
        """The topic of behaviour events; there is one if the file has a section `behaviours`."""
        return f"{self.topics.prefix}.behaviours"

    @property
    def bindings_topic(self) -> str:
        return f"{self.topics.prefix}.g{self.generation}.bindings"

    @property
    def deltas_topic(self) -> str:
        return f"{self.topics.prefix}.g{self.generation}.deltas"

    @property
    def worker_group(self) -> str:
        """The consumer group of the generation's workers."""
        return f"{self.topics.prefix}-g{self.generation}"

    @property
    def control_topic(self) -> str:
        return f"{self.topics.prefix}.control"

    @property
    def replicas_topic(self) -> str:
        return f"{self.topics.prefix}.replicas"

    @property
    def dead_letters_topic(self) -> str:
        return f"{self.topics.prefix}.dead-letters"


def _reference() -> Mapping[str, Any]:
    data: dict[str, Any] = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    return data
