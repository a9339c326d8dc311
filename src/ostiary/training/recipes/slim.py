"""Ours for a small processor: the recipe for few people, started from the watcher's own weights, thinned to fit.

The network need not learn what a face is from thirty thousand pictures; it keeps what the deployed one learnt
from millions, makes good what the thinning lost, and adds what the other teacher knows. There is no margin over
the known people: their vectors start at random, and pull a network that knows more than they do away from where
it is.
"""

from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.recipes.few_people import RECIPE as FEW_PEOPLE

RECIPE = FaceRecipe.model_validate(
    {
        **FEW_PEOPLE.model_dump(),
        "name": "slim",
        "summary": "Our small network, started from the thinned weights of the teacher that watches.",
        "network": "slim_face",
        "start": "watcher",
        "margin": None,
        "schedule": {**FEW_PEOPLE.schedule.model_dump(), "epochs": 8, "learning_rate": 1e-3},
    }
)
