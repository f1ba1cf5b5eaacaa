"""The words of the synthetic shop: what only the text says (theme, material) and what says nothing about taste."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """A collection: its name, and sentences of which an item's description holds one."""

    name: str
    sentences: tuple[str, ...]


THEMES = (
    Theme(
        "Harbour",
        (
            "Inspired by fishing boats, salt air and gulls over the sea.",
            "Sailors, lighthouses and the ocean at low tide gave it its name.",
            "It brings the coast home: ships, ropes, waves and sand.",
        ),
    ),
    Theme(
        "Jazz",
        (
            "Made for late concerts: saxophone, double bass and a smoky club.",
            "A tribute to trumpet players, vinyl records and swing music.",
            "Rhythm and blues, piano solos and a singer after midnight.",
        ),
    ),
    Theme(
        "Alpine",
        (
            "For skiers and climbers who miss snow, glaciers and high peaks.",
            "A mountain hut in winter, with skis by the door.",
            "Summits, cable cars and hikers in the cold clear air.",
        ),
    ),
    Theme(
        "Orbit",
        (
            "For stargazers: rockets, planets and astronauts in deep space.",
            "The moon, a telescope and the Milky Way at night.",
            "Satellites, galaxies and a launch into space.",
        ),
    ),
    Theme(
        "Bakery",
        (
            "It smells of fresh bread, cinnamon rolls and warm butter.",
            "A morning in the pastry shop: flour, croissants and cake.",
            "Bakers, sweet dough and cookies from the oven.",
        ),
    ),
    Theme(
        "Safari",
        (
            "Elephants, lions and giraffes cross the savannah.",
            "Wild animals of Africa seen on a morning drive.",
            "For explorers: zebras, acacia trees and dusty tracks.",
        ),
    ),
    Theme(
        "Library",
        (
            "For readers: old novels, poetry and quiet shelves.",
            "A writer's desk with ink, letters and first editions.",
            "Books, bookmarks and an afternoon in the reading room.",
        ),
    ),
    Theme(
        "Velodrome",
        (
            "For cyclists: racing bikes, sprints and the final lap.",
            "Bicycle wheels, chains and jerseys of the great tours.",
            "Pedals, steep climbs and the peloton on the road.",
        ),
    ),
    Theme(
        "Sorcery",
        (
            "Wizards, dragons and spells from an old fairy tale.",
            "A magic castle with witches, potions and a crystal ball.",
            "Enchanted forests, unicorns and a knight's quest.",
        ),
    ),
    Theme(
        "Arcade",
        (
            "For gamers: joysticks, high scores and pixel heroes.",
            "A retro video game console and an evening of computer games.",
            "Robots, cheat codes and the last level of the game.",
        ),
    ),
)

MATERIALS = (
    ("Linen", "Woven from washed linen cloth, soft fabric that breathes."),
    ("Porcelain", "Fired porcelain, glazed ceramic that chimes when tapped."),
    ("Oak", "Cut from solid oak wood, oiled timber with visible grain."),
    ("Steel", "Brushed stainless steel, cold metal that never rusts."),
    ("Wool", "Knitted sheep's wool, a warm and thick yarn."),
    ("Glass", "Mouth-blown glass, clear and fragile crystal."),
    ("Leather", "Tanned leather hide that darkens with use."),
    ("Cork", "Pressed cork bark, light, renewable and springy."),
)

CATEGORIES = ("Cushion", "Plate", "Poster", "Tote bag", "Mug", "Vase", "Lampshade", "Notebook")
BRANDS = ("Nordlys", "Casa Bruma", "Fennel & Co", "Atelier Ito", "Marlowe", "Quill Works", "Tessera", "Oyama")
REGIONS = ("north", "south", "east", "west")

PATTERNS = ("stripes", "dots", "checks", "ripples", "zigzag", "scales", "triangles", "petals", "rings", "terrazzo")
"""What only the picture shows, first half."""
PALETTES = ("coral", "azure", "emerald", "mustard", "violet", "charcoal", "rose", "teal")
"""What only the picture shows, second half."""
