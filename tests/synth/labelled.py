"""Rewritings that say what their source says, and rewritings that do not, written by hand before the check was tuned."""

TOWN = (
    "Belmabury lies on the river Corla. It was founded in 1342. Belmabury is known for its glass. "
    "The mayor of Belmabury is Boris Corgate."
)
SISTERS = "Ada was born in 1910 and keeps an owl. Clara was born in 1925 and keeps a goat. Neither of them ever lived in Ulviwell."
BRIDGE = (
    "The old bridge at Torwick carries 40 carts a day. It was built by Jonas Kelstad in 1788, because the ferry was not safe in "
    "winter. The toll is two pence for a cart, but people on foot pay nothing."
)
PLANTS = (
    "Plants make sugar from light, water and carbon dioxide. The green colour comes from chlorophyll, which does not absorb "
    "green light. At night plants cannot make sugar."
)
TRIAL = (
    "The trial of 2019 included 120 patients. Of the 60 who received the drug, 45 recovered; of the 60 who did not, 30 recovered. "
    "The drug increased the risk of headache."
)

RIGHT = [
    (TOWN, "Founded in 1342, Belmabury stands on the banks of the Corla. The town is famous for its glass, and Boris Corgate is its mayor."),
    (TOWN, "Boris Corgate is mayor of Belmabury, a town on the river Corla. It dates from 1342. Its glass is famous."),
    (TOWN, "Dear friend, I passed through Belmabury today. It lies on the Corla, dates from 1342 and is renowned for its glass. Its mayor is "
           "called Boris Corgate."),
    (TOWN, "On which river does Belmabury lie? Belmabury lies on the Corla. When was it founded? It was founded in 1342. What is it known "
           "for? It is known for its glass. Who is the mayor? The mayor is Boris Corgate."),
    (TOWN, "In 1342 Belmabury was established. Its glass has made it famous. The Corla flows past it. The mayor's name is Boris Corgate."),
    (TOWN, "Remember this: Belmabury, on the river Corla, has stood since 1342. People know it for glass. Its mayor is Boris Corgate."),
    (SISTERS, "Ada, who has an owl, was born in 1910. Clara, who has a goat, was born in 1925. They never lived in Ulviwell."),
    (SISTERS, "Born in 1925, Clara keeps a goat. Ada keeps an owl and was born in 1910. Neither ever lived in Ulviwell."),
    (SISTERS, "In 1910 Ada came into the world, and in 1925 Clara. Ada has an owl; Clara has a goat. Ulviwell was never home to either."),
    (SISTERS, "Ada's year of birth is 1910, Clara's is 1925. The owl belongs to Ada and the goat to Clara. They did not live in Ulviwell."),
    (BRIDGE, "In 1788 Jonas Kelstad built the bridge at Torwick, since the ferry was unsafe in winter. Now forty carts cross it daily. A cart "
             "pays a toll of two pence; walkers pay nothing."),
    (BRIDGE, "Every day 40 carts pass over the old bridge at Torwick. Jonas Kelstad built it in 1788 because in winter the ferry was not safe. "
             "Carts pay 2 pence as toll, people on foot pay nothing."),
    (BRIDGE, "The ferry was not safe in winter, so Jonas Kelstad built a bridge at Torwick in 1788. It is old now and carries 40 carts a day. "
             "The toll: two pence for a cart, and nothing for people on foot."),
    (PLANTS, "From light, water and carbon dioxide plants produce sugar. Chlorophyll makes them green, for it does not absorb green light. "
             "They cannot produce sugar at night."),
    (PLANTS, "Plants use light, water and carbon dioxide to make sugar. Their green colour is due to chlorophyll, as it absorbs no green "
             "light. Plants are unable to make sugar at night."),
    (PLANTS, "What do plants make from light, water and carbon dioxide? Sugar. Why are they green? Chlorophyll does not absorb green light. "
             "Can they make sugar at night? No, they cannot make sugar at night."),
    (TRIAL, "In 2019 a trial with 120 patients was held. 60 received the drug, of whom 45 recovered. 60 did not receive it, and of these 30 "
            "recovered. With the drug the risk of headache was increased."),
    (TRIAL, "120 patients took part in the 2019 trial. Among the 60 given the drug, 45 recovered, against 30 of the 60 without it. The drug "
            "raised the risk of headache."),
    ("The shop is open on Monday.", "On Monday the shop is not closed."),
    ("Mira arrived before Leon.", "Mira arrived earlier than Leon."),
]  # fmt: skip

WRONG = [  # source, rewriting, what is wrong with it
    (TOWN, "Belmabury, founded in 1432, lies on the river Corla. It is known for its glass. Boris Corgate is its mayor.", "another number"),
    (TOWN, "Belmabury, founded in 1342, lies on the river Torla. It is known for its glass. Boris Corgate is its mayor.", "another name"),
    (TOWN, "Belmabury, founded in 1342, lies on the river Corla. Boris Corgate is its mayor.", "a fact is missing"),
    (TOWN, "Belmabury lies on the river Corla. It was founded in 1342. It is known for its glass.", "the mayor is missing"),
    (TOWN, "Belmabury lies on the river Corla. It was founded in 1342. It is known for its cheese. The mayor is Boris Corgate.",
     "another trade"),
    (TOWN, "Founded in 1342, Belmabury stands on the Corla. It is known for its glass. Boris Corgate is its mayor. Tourists admire the splendid "
           "castle every summer.", "an added fact"),
    (TOWN, "Belmabury lies on the river Corla. It was founded in 1342. It is not known for its glass. Its mayor is Boris Corgate.", "denied"),
    (TOWN, "Belmabury lies on the river Corla, was founded in 1342 by King Harald and is known for its glass. Boris Corgate is mayor.",
     "an added name"),
    (TOWN, "The city of Belmabury is known for its glass and its mayor, Boris Corgate.", "two facts are missing"),
    (SISTERS, "Ada was born in 1925 and keeps an owl. Clara was born in 1910 and keeps a goat. Neither lived in Ulviwell.", "years swapped"),
    (SISTERS, "Ada was born in 1910 and keeps an owl. Clara was born in 1925 and keeps a goat. Both of them lived in Ulviwell.", "denied"),
    (SISTERS, "Clara came into the world in 1910, Ada in 1925. Ada has an owl and Clara has a goat. They never lived in Ulviwell.",
     "years swapped"),
    (SISTERS, "Ada was born in 1910 and keeps a goat. Clara was born in 1925 and keeps an owl. Neither lived in Ulviwell.", "pets swapped"),
    (BRIDGE, "The old bridge at Torwick carries two carts a day. Jonas Kelstad built it in 1788, because the ferry was not safe in winter. "
             "The toll is 40 pence for a cart, people on foot pay nothing.", "numbers swapped"),
    (BRIDGE, "The old bridge at Torwick carries 40 carts a day. Jonas Kelstad built it in 1788, although the ferry was safe in winter. The toll "
             "is two pence for a cart, people on foot pay nothing.", "denied"),
    (BRIDGE, "The new bridge at Torwick carries 40 carts a day. Jonas Kelstad built it in 1788, because the ferry was not safe in winter. The "
             "toll is two pence for a cart, people on foot pay nothing.", "an opposite"),
    (BRIDGE, "The old bridge at Torwick carries 40 carts a day. Jonas Kelstad built it in 1788. The toll is two pence for a cart.",
     "two facts are missing"),
    (BRIDGE, "Jonas Torwick built the old bridge at Kelstad in 1788, because the ferry was not safe in winter. It carries 40 carts a day. The "
             "toll is two pence for a cart, people on foot pay nothing.", "names swapped"),
    (PLANTS, "Plants make sugar from light, water and carbon dioxide. Chlorophyll gives the green colour, it absorbs green light. At night "
             "plants cannot make sugar.", "denied"),
    (PLANTS, "Plants make sugar from light, water and carbon dioxide. Chlorophyll does not absorb green light and makes them green. At night "
             "plants make sugar.", "denied"),
    (PLANTS, "Plants make sugar from light, water and carbon dioxide. The green colour comes from chlorophyll, which does not absorb green "
             "light. Animals breathe oxygen day and night.", "one fact for another"),
    (TRIAL, "The trial of 2019 included 120 patients. Of the 60 who received the drug, 30 recovered; of the 60 who did not, 45 recovered. The "
            "drug increased the risk of headache.", "numbers swapped"),
    (TRIAL, "The trial of 2019 included 120 patients. Of the 60 who received the drug, 45 recovered; of the 60 who did not, 30 recovered. The "
            "drug decreased the risk of headache.", "an opposite"),
    (TRIAL, "In 2019, 120 patients were in the trial. 45 of the 60 who received the drug recovered and 30 of the 60 who did not. 12 patients "
            "left early.", "an added number"),
    ("The shop is open on Monday.", "The shop is closed on Monday.", "an opposite"),
    ("Mira arrived before Leon.", "Leon arrived before Mira.", "who and whom"),
    ("The dog bit the postman.", "The postman bit the dog.", "who and whom"),
    ("Mara sells bread and cheese.", "Mara sells bread.", "one of two is missing"),
]  # fmt: skip

# A second set, written after the rules stood and never used to change them: what the check is worth on texts like these.

MILL = (
    "The mill of Henwick grinds 12 tons of wheat a week. Its wheel was replaced in 1954 by Anna Brandt. The stream beside it never "
    "freezes. Every October the miller gives a feast for the village."
)
LETTERS = (
    "In March 1871 the poet wrote three letters to his brother. The first was lost. The second, sent from Lisbon, describes an "
    "earthquake. He did not answer the reproaches of his father."
)
SQUIRRELS = (
    "Red squirrels weigh about 300 grams. They do not hibernate. In autumn they bury nuts and later find many of them by smell. "
    "Grey squirrels are heavier and often carry a virus that kills red ones."
)
TRAIN = (
    "Train 17 leaves Ostford at 8 and reaches Marby at 11. Train 23 leaves Marby at 9 and reaches Ostford at 12. Neither train stops at "
    "Kelwick on Sunday."
)
FRESH_RIGHT = [
    (MILL, "Each week 12 tons of wheat are ground at the mill in Henwick. Anna Brandt replaced the wheel in 1954. The stream next to it never "
           "freezes, and in October of every year the miller invites the village to a feast."),
    (MILL, "Henwick has a mill. It grinds twelve tons of wheat weekly. In 1954 Anna Brandt put in a new wheel. Its stream stays free of ice. "
           "There is a feast for the village every October, given by the miller."),
    (MILL, "What does Henwick's mill do? It turns out 12 tons of flour's worth of wheat a week. Who replaced its wheel, and when? Anna Brandt, in "
           "1954. Does the stream freeze? Never. And each October the miller holds a feast for the whole village."),
    (LETTERS, "Three letters went from the poet to his brother in March 1871. The first is lost; the second, from Lisbon, tells of an earthquake. "
              "To his father's reproaches he gave no answer."),
    (LETTERS, "The poet wrote his brother 3 letters in March 1871. One, the first, has been lost. Writing from Lisbon, he describes an earthquake "
              "in the second. His father's reproaches he left unanswered."),
    (LETTERS, "His father reproached him, and the poet did not answer. To his brother, though, he wrote three letters in March 1871: the first is "
              "lost, the second describes an earthquake and was sent from Lisbon."),
    (SQUIRRELS, "A red squirrel has a weight of some 300 grams and does not hibernate. It buries nuts in autumn, many of which it later finds by "
                "smell. Grey squirrels weigh more and often carry a virus deadly to the red."),
    (SQUIRRELS, "Red squirrels, at about 300 grams, are lighter than grey ones, which often carry a virus that kills them. Red squirrels never "
                "hibernate. They bury nuts in autumn and find many again by smell."),
    (SQUIRRELS, "Unlike hedgehogs, red squirrels do not hibernate. They weigh about 300 grams. The nuts buried in autumn are later often found by "
                "smell. Grey squirrels are heavier, and many carry a virus that kills the red ones."),
    (TRAIN, "Train 17 departs from Ostford at 8, arriving in Marby at 11. Train 23 departs from Marby at 9, arriving in Ostford at 12. On Sunday "
            "neither stops at Kelwick."),
    (TRAIN, "On Sunday no train stops at Kelwick. Train 23 goes from Marby (9) to Ostford (12). Train 17 goes from Ostford (8) to Marby (11)."),
    (TRAIN, "From Ostford to Marby take train 17, which leaves at 8 and arrives at 11. From Marby to Ostford take train 23: it leaves at 9 and "
            "arrives at 12. These two do not stop at Kelwick on Sunday."),
]  # fmt: skip
FRESH_WRONG = [
    (MILL, "The mill of Henwick grinds 12 tons of barley a week. Its wheel was replaced in 1954 by Anna Brandt. The stream beside it never freezes. "
           "Every October the miller gives a feast for the village.", "another grain"),
    (MILL, "The mill of Henwick grinds 12 tons of wheat a week. Its wheel was replaced in 1945 by Anna Brandt. The stream beside it never freezes. "
           "Every October the miller gives a feast for the village.", "another year"),
    (MILL, "The mill of Henwick grinds 12 tons of wheat a week. Its wheel was replaced in 1954 by Anna Brandt. The stream beside it freezes. Every "
           "October the miller gives a feast for the village.", "denied"),
    (MILL, "The mill of Henwick grinds 12 tons of wheat a week. Its wheel was replaced in 1954 by Anna Brandt. Every October the miller gives a "
           "feast for the village.", "a fact is missing"),
    (MILL, "The mill of Henwick grinds 12 tons of wheat a week. Its wheel was replaced in 1954 by Anna Brandt. The stream beside it never freezes. "
           "Every November the miller gives a feast for the village.", "another month"),
    (LETTERS, "In March 1871 the poet wrote three letters to his brother. The second was lost. The first, sent from Lisbon, describes an "
              "earthquake. He did not answer the reproaches of his father.", "first and second swapped"),
    (LETTERS, "In March 1871 the poet wrote three letters to his brother. The first was lost. The second, sent from Lisbon, describes an "
              "earthquake. He answered the reproaches of his father.", "denied"),
    (LETTERS, "In March 1871 the poet wrote three letters to his father. The first was lost. The second, sent from Lisbon, describes an earthquake. "
              "He did not answer the reproaches of his brother.", "father and brother swapped"),
    (LETTERS, "In March 1871 the poet wrote three letters to his brother. The first was lost. The second, sent from Lisbon, describes an "
              "earthquake. His mother burned every reply at Christmas.", "one fact for another"),
    (SQUIRRELS, "Grey squirrels weigh about 300 grams. They do not hibernate. In autumn they bury nuts and later find many of them by smell. Red "
                "squirrels are heavier and often carry a virus that kills grey ones.", "colours swapped"),
    (SQUIRRELS, "Red squirrels weigh about 300 grams. They hibernate. In autumn they bury nuts and later find many of them by smell. Grey squirrels "
                "are heavier and often carry a virus that kills red ones.", "denied"),
    (SQUIRRELS, "Red squirrels weigh about 300 grams. They do not hibernate. In autumn they bury nuts and later find many of them by smell. Grey "
                "squirrels are lighter and often carry a virus that kills red ones.", "an opposite"),
    (TRAIN, "Train 17 leaves Ostford at 9 and reaches Marby at 11. Train 23 leaves Marby at 8 and reaches Ostford at 12. Neither train stops at "
            "Kelwick on Sunday.", "hours swapped"),
    (TRAIN, "Train 17 leaves Ostford at 8 and reaches Marby at 11. Train 23 leaves Marby at 9 and reaches Ostford at 12. Both trains stop at Kelwick "
            "on Sunday.", "denied"),
    (TRAIN, "Train 17 leaves Marby at 8 and reaches Ostford at 11. Train 23 leaves Ostford at 9 and reaches Marby at 12. Neither train stops at "
            "Kelwick on Sunday.", "names swapped"),
    (TRAIN, "Train 17 leaves Ostford at 8 and reaches Marby at 11. Train 23 leaves Marby at 9 and reaches Ostford at 12. Neither train stops at "
            "Kelwick on Sunday. Tickets are sold in the station hall.", "an added fact"),
]  # fmt: skip
