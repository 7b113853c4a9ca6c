"""The digital phantom: patients with a grade, images of them, and the exact Bayes posterior of the grade."""

from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.phantom.acquire import PhantomCase, acquire
from REACTKDLib.core.phantom.latents import Latents, bayes_posterior, draw_latents
from REACTKDLib.core.phantom.patient import Patient, draw_patient

__all__ = ["GRADES", "Latents", "Patient", "PhantomCase", "acquire", "bayes_posterior", "draw_latents", "draw_patient"]
