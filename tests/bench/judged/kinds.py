"""What an item of the demo's catalog is, told by which structured fields it has, not by its title.

`words` are what shoppers call the kind, `marks` fields of which an item of the kind has one,
`without` fields that an item of another kind has beside them, `value` what one field must contain.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    words: tuple[str, ...]
    marks: tuple[str, ...]
    without: tuple[str, ...] = ()
    value: tuple[str, str] = ("", "")  # a field, and what its value contains


_COMPUTER = ("display_diagonal", "total_storage_capacity", "operating_system_installed")

KINDS: tuple[Kind, ...] = (
    Kind(
        ("toner", "toner cartridge", "laser toner"),
        ("black_toner_page_yield", "colour_toner_page_yield"),
    ),
    Kind(
        ("ink", "ink cartridge", "printer ink"),
        ("ink_type",),
        ("media_weight", "print_speed__black__normal_quality__a4_us_letter_"),
    ),
    Kind(("processor", "cpu"), ("processor_package_size", "tcase"), _COMPUTER),
    Kind(
        ("notebook", "laptop"),
        ("touchpad", "keyboard_layout", "form_factor"),
        (),
        ("form_factor", "Clamshell"),
    ),
    Kind(("motherboard", "mainboard"), ("motherboard_form_factor", "motherboard_ark_id")),
    Kind(
        ("patch cable", "network cable", "ethernet cable"),
        ("cable_standard", "cabling_technology"),
        (),
        ("connector_1", "RJ-45"),
    ),
    Kind(("hdmi cable",), ("cable_length",), (), ("connector_1", "HDMI")),
    Kind(("vga cable", "monitor cable"), ("cable_length",), (), ("connector_1", "VGA")),
    Kind(("usb cable",), ("cable_length",), (), ("connector_1", "USB")),
    Kind(("dvi cable",), ("cable_length",), (), ("connector_1", "DVI")),
    Kind(("fiber cable", "fibre optic cable"), ("cable_length",), (), ("connector_1", "LC")),
    Kind(("headphones", "headset"), ("headphone_frequency", "ear_coupling", "headset_type")),
    Kind(
        ("keyboard",),
        ("keyboard_number_of_keys", "keyboard_style", "keyboard_form_factor"),
        _COMPUTER,
    ),
    Kind(("mouse", "computer mouse"), ("movement_detection_technology", "scroll_type")),
    Kind(("labels", "label tape"), ("label_type", "labels_per_pack", "tape_length")),
    Kind(
        ("monitor", "display"),
        ("pixel_pitch", "display_brightness__typical_"),
        ("processor_model", "teletext", "bulb_power"),
    ),
    Kind(("ups", "battery backup"), ("typical_backup_time_at_half_load", "ups_topology")),
    Kind(("memory", "ram"), ("memory_layout__modules_x_size_", "cas_latency"), _COMPUTER),
    Kind(("scanner",), ("maximum_scan_size", "film_scanning"), ("print_technology",)),
    Kind(("projector lamp",), ("lamp_type", "bulb_power"), ("projector_brightness",)),
    Kind(
        ("printer",),
        ("number_of_print_cartridges", "maximum_paper_trays"),
        ("black_toner_page_yield",),
    ),
    Kind(("kvm switch", "kvm"), ("number_of_computers_controlled", "keyboard_port_type")),
    Kind(
        ("network switch", "ethernet switch"),
        ("mac_address_table", "basic_switching_rj_45_ethernet_ports_quantity"),
    ),
    Kind(("router", "wireless router"), ("ethernet_wan", "xdsl_connection")),
    Kind(("flash drive", "usb stick"), ("usb_version",), (), ("device_interface", "USB")),
    Kind(("tv", "television"), ("teletext", "supported_tv_bands", "comb_filter")),
    Kind(
        ("photo paper", "printing paper"),
        ("media_sheets_per_package", "media_weight"),
        ("labels_per_pack",),
    ),
    Kind(("case", "bag", "sleeve"), ("case_type",)),
    Kind(
        ("wall mount", "monitor mount"),
        ("minimum_vesa_mount", "maximum_vesa_mount"),
        ("processor_model",),
    ),
    Kind(("fan", "cooler"), ("fan_diameter", "maximum_airflow")),
    Kind(("power supply",), ("power_supply_type", "output_voltage"), ("ups_topology",)),
    Kind(("rack", "server cabinet"), ("rack_capacity", "load_capacity")),
    Kind(("doll", "baby doll"), ("minimum_doll_height", "clothes_type_included")),
    Kind(("puzzle", "jigsaw"), ("number_of_puzzle_pieces",)),
    Kind(("coffee machine", "coffee maker"), ("coffee_input_type", "coffee_maker_type")),
    Kind(("toothbrush",), ("teeth_brushing_modes", "toothbrush_type")),
    Kind(("calculator",), ("calculator_functions",), (), ("type", "calculator")),
    Kind(("shaver", "electric shaver"), ("shaver_system", "number_of_shaver_heads_blades")),
    Kind(("ssd", "solid state drive"), ("ssd_capacity",), _COMPUTER),
    Kind(("hard drive", "hard disk"), ("hdd_size", "storage_drive_size"), _COMPUTER),
)


def kinds_of(fields: dict[str, str]) -> set[int]:
    """The numbers of the kinds that an item is of."""
    return {number for number, kind in enumerate(KINDS) if _is(kind, fields)}


def _is(kind: Kind, fields: dict[str, str]) -> bool:
    field, part = kind.value
    return (
        any(mark in fields for mark in kind.marks)
        and not any(other in fields for other in kind.without)
        and part.lower() in fields.get(field, "").lower()
    )
