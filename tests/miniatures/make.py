"""Write the miniature lists, by default beside this file: `python tests/miniatures/make.py [FOLDER]`."""

import sys
from pathlib import Path

import clips
import flickr
import frames
import numpy as np
from forms import Folder

if __name__ == "__main__":
    given = sys.argv[1:] or [str(Path(__file__).parent / "lists")]
    for seed, corpus in enumerate((clips, flickr, frames), start=1):
        corpus.write(Folder(Path(given[0])), np.random.RandomState(seed))
