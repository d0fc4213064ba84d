"""A small catalog of several languages, with its groups and field mapping."""

from kae.encoders.categories import CATEGORY_INDEX, Group
from kae.encoders.items import Item

GROUPS = (
    Group("core", ("entity", "modifier", "series", "model"), 64, 8),
    Group("endorsement", ("brand", "audience", "anchor"), 32, 8),
    Group("style", ("style", "color", "pattern"), 32, 8),
    Group("function", ("function", "marketing"), 32, 8),
    Group("material", ("material", "specification", "price"), 32, 8),
    Group("occasion", ("season", "location", "scene"), 32, 8),
)
FIELDS = {"brand": "brand", "colour": "color", "kind": "entity", "made_of": "material"}

ROWS: tuple[tuple[str, dict[str, str | list[str]]], ...] = (
    ("Acme toner cartridge black 2 pcs", {"brand": "Acme", "colour": "Black"}),
    ("Acme toner cartridge cyan", {"brand": "Acme", "colour": "Cyan"}),
    ("Acme toner cartridges, grey", {"brand": "Acme", "colour": "Grey"}),
    ("Bolt USB cable 1.5 m gray", {"brand": "Bolt", "colour": "Gray", "made_of": "PVC, Copper"}),
    ("Bolt HDMI cable 1.5m", {"brand": "Bolt", "made_of": ["PVC", "Gold; Copper"]}),
    ("Bolt USB hub", {"brand": "Bolt", "kind": "USB hub", "made_of": "Plastic"}),
    ("Casa running shoes for women", {"brand": "Casa", "kind": "Shoes"}),
    ("罗技 无线鼠标 黑色", {"colour": "黑色"}),
    ("小米 无线鼠标 白色", {"colour": "白色"}),
)


def catalog() -> list[Item]:
    return [
        Item(id=str(number), title=title, fields=dict(fields))
        for number, (title, fields) in enumerate(ROWS)
    ]


def category(name: str) -> int:
    return CATEGORY_INDEX[name]
