"""An exported model: a folder that opens anywhere, its card, programs of other runtimes, the Hugging Face Hub."""
