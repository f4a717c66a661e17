"""NoPrior's evaluator of mixed sounds, as its scripts call it: two or three images a mixture, or one of MUSIC-duet."""

from training.evaluation.tasks.duets import MixtureProtocol

_CODE = "NoPrior_MultiSSL 9910fb1 train.py test_step"
PROTOCOLS = (
    MixtureProtocol("noprior_duet", f"{_CODE}, two images", images=2),
    MixtureProtocol("noprior_trio", f"{_CODE}, three images as its VGG-SS script", images=3),
    MixtureProtocol("noprior_music", f"{_CODE}, an image of MUSIC-duet, all boxes as one", images=1, instruments=True),
)
