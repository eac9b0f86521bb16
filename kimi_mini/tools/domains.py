"""Categories and application domains from which tools are evolved: what a record of each domain holds, and how it lives."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..corpus.draw import Draw
from .shop import NAMES

RECORDS, DAYS = 10, 14  # records of a fresh store; days, from 1, for which something can be planned


class Amount(NamedTuple):
    """A number of a record, from `low` to `high`."""

    name: str
    unit: str
    low: int
    high: int


class Domain(NamedTuple):
    """Records of one kind: a title, a group out of `groups`, amounts, a status, an owner, perhaps a day.

    `life` are the changes of status as (verb, before, after); a record begins in the first `before`.
    """

    category: str
    name: str
    noun: str
    titles: tuple[str, ...]
    group: str
    groups: tuple[str, ...]
    amounts: tuple[Amount, ...]
    life: tuple[tuple[str, str, str], ...]
    owner: str

    @property
    def statuses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(status for _, before, after in self.life for status in (before, after)))

    def amount(self, name: str) -> Amount:
        return next(amount for amount in self.amounts if amount.name == name)

    def draw(self, seed: int) -> dict[str, Any]:
        """A fresh store of records; most are in their first status."""
        draw = Draw("domain", self.name, seed)
        planned = [*draw.some(range(1, DAYS + 1), 3), *[None] * (RECORDS - 3)]
        records = {}
        for number, (title, day) in enumerate(zip(draw.some(self.titles, RECORDS), draw.shuffled(planned), strict=True), 1):
            records[str(number)] = {
                "id": number, "title": title, self.group: draw.one(self.groups),
                **{one.name: draw.number(one.low, one.high) for one in self.amounts},
                "status": draw.one((self.statuses[0], self.statuses[0], *self.statuses)),
                self.owner: draw.one((*NAMES[:5], None)), "day": day,
            }  # fmt: skip
        return {"records": records, "next": RECORDS + 1}


# category | plural, singular, owner | titles | group: groups | amount unit low high; ... | verb before after; ...
_TABLE = """
logistics | parcels parcel driver | books lamps glasses seeds tools shoes paints ropes clocks plates skis drums | town: asmund brevik corda dunmore | weight kg 1 30; postage coins 2 20 | send waiting on_the_way; deliver on_the_way delivered; recall waiting recalled
logistics | containers container crane | alder birch cedar elm fir hazel larch maple oak pine rowan willow | port: north south east west | load tonnes 1 40 | unload stored unloaded; inspect stored inspected; release inspected released
health | appointments appointment doctor | checkup vaccination x_ray blood_test massage eye_test hearing_test dressing advice scan screening therapy | ward: heart bones eyes skin | minutes minutes 10 90; fee coins 5 80 | confirm asked confirmed; call_off asked called_off; close confirmed closed
health | prescriptions prescription pharmacist | aspirin insulin cortisone iron zinc menthol quinine digoxin heparin codeine atropine morphine | form: tablets drops cream spray | doses doses 1 60 | fill open filled; reject open rejected; collect filled collected
education | courses course teacher | algebra geometry history painting pottery chemistry singing drama botany latin logic rowing | level: first second third | places places 5 40; fee coins 10 200 | publish draft published; start published running; drop draft dropped
education | loans loan librarian | atlas almanac bestiary cookbook diary epic fables grammar herbal hymnal psalter saga | shelf: north south cellar | renewals times 0 3; fine coins 0 12 | extend lent extended; bring_back lent back; report_lost lent lost
finance | accounts account banker | house travel savings garden school repairs pension gifts food boat music winter | currency: crowns marks florins | balance coins 0 500 | freeze active frozen; thaw frozen active; close active closed
finance | invoices invoice clerk | bricks timber paint printing water power rent cleaning post coal glass copper | department: sales works office | sum coins 10 900; discount percent 0 30 | approve received approved; pay approved paid; dispute received disputed
home | lights light resident | kitchen hall cellar attic bath study porch garden stairs nursery pantry garage | floor: ground first second | brightness percent 0 100 | switch_on off on; switch_off on off; lock off locked
home | meals meal cook | soup stew pie salad roast pancakes dumplings omelette curry risotto goulash porridge | diet: any vegan no_nuts | portions portions 1 12; minutes minutes 5 120 | cook planned cooked; serve cooked served; skip planned skipped
travel | rooms room porter | larkspur iris tulip violet lily rose poppy aster daisy jasmine orchid peony | view: sea hills yard | price coins 30 200; beds beds 1 4 | check_in free taken; check_out taken free; shut free shut
travel | ferries ferry captain | aurora boreas calypso delphin elektra fortuna galatea hermes ikaros juno kestrel luna | pier: north south old | seats seats 10 200 | board docked boarding; depart boarding left; hold docked held
work | tickets ticket engineer | login printer network backup screen keyboard mail router camera battery scanner password | team: desk field lab | priority points 1 5; hours hours 1 20 | resolve open resolved; reopen resolved open; escalate open escalated
work | candidates candidate recruiter | baker carter dyer fisher glover hunter mason miller potter smith turner weaver | post: shop yard office | score points 1 100 | invite applied invited; hire invited hired; decline applied declined
culture | concerts concert conductor | nocturne sonata requiem ballad prelude fugue waltz mazurka aria overture suite serenade | hall: great small open_air | tickets tickets 20 300; length minutes 20 150 | announce planned announced; play announced played; call_off planned called_off
culture | exhibits exhibit curator | vase mask helmet crown tapestry coin statue icon sundial compass lute amulet | wing: east west court | insured coins 10 900; age years 50 999 | lend shown lent; restore shown in_repair; show lent shown
nature | animals animal keeper | badger beaver crane deer falcon fox heron lynx marten otter owl wolf | area: marsh wood hill | feed kg 1 20; years years 1 15 | treat well in_care; release in_care well; tag well tagged
nature | plots plot gardener | beans beets cabbage carrots garlic kale leeks onions peas potatoes pumpkins turnips | soil: sand loam clay | water litres 1 50; rows rows 1 12 | sow empty sown; harvest sown empty; rest empty resting
energy | turbines turbine operator | arve bora cierzo etesian foehn ghibli levante mistral ostro pampero sirocco zonda | park: coast ridge plain | output kw 10 900 | stop running stopped; start stopped running; service stopped in_service
energy | chargers charger technician | market station harbour school castle theatre museum stadium chapel bakery mill bridge | street: mill fox bridge | power kw 3 150; price coins 1 9 | plug_in idle busy; unplug busy idle; block idle blocked
"""  # noqa: E501


def _domain(line: str) -> Domain:
    category, names, titles, group, amounts, life = (part.strip() for part in line.split("|"))
    name, noun, owner = names.split()
    group, groups = group.split(":")
    triples = tuple(tuple(one.split()) for one in life.split(";"))
    numbers = tuple(Amount(*one.split()[:2], *map(int, one.split()[2:])) for one in amounts.split(";"))
    return Domain(category, name, noun, tuple(titles.split()), group, tuple(groups.split()), numbers, triples, owner)


DOMAINS: dict[str, Domain] = {domain.name: domain for domain in map(_domain, _TABLE.strip().splitlines())}
CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(domain.category for domain in DOMAINS.values()))
