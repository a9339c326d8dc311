"""Ours as it ships: the patient recipe, started from the watcher's own weights, thinned to fit (``slim``)."""

from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.recipes.patient import RECIPE as PATIENT

RECIPE = FaceRecipe.model_validate(
    {
        **PATIENT.model_dump(),
        "name": "patient_slim",
        "summary": "For a GPU: our small network, started from a deployed one and taught patiently.",
        "network": "slim_face",
        "start": "watcher",
        "schedule": {**PATIENT.schedule.model_dump(), "epochs": 30, "learning_rate": 2e-3},
    }
)
