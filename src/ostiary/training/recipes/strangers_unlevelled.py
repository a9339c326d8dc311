"""The other half of the packaged weights: as ``strangers``, with the teacher's answers as they are.

Counted from where each training data set parts they ask the network to know the camera; as they are, they carry
over to cameras that nobody knows, at another height for each. The mean of both networks ships (docs/findings.md).
"""

from ostiary.training.recipe import Recipe
from ostiary.training.recipes.strangers import RECIPE as STRANGERS

RECIPE = Recipe.model_validate(
    {
        **STRANGERS.model_dump(),
        "name": "strangers_unlevelled",
        "summary": "As strangers, with the teacher's answers as they are.",
        "teacher_level": "own",
    }
)
