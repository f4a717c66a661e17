# All three commands in one image, for a laptop or a GPU cluster (CUDA comes inside the torch and faiss wheels).
#   docker build -t sound-source-localization .
#   docker run --rm -v "$PWD:/data" -w /data sound-source-localization pipeline ingest --src vggsound/ --out shards/
#   docker run --rm --gpus all --ipc=host -v "$PWD:/data" -w /data sound-source-localization \
#     python -m training.launch --standalone --nproc-per-node 8 -m training run ezvsl_semantic.yaml \
#       optim.replicas=8 optim.precision=bfloat16
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}

RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates ffmpeg python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*

# the pinned environment first: it changes rarely and its layer is large
COPY requirements.lock /opt/project/
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --quiet -r /opt/project/requirements.lock

COPY pyproject.toml README.md LICENSE /opt/project/
COPY manifests /opt/project/manifests
COPY pipeline /opt/project/pipeline
COPY index /opt/project/index
COPY training /opt/project/training
RUN /opt/venv/bin/pip install --no-cache-dir --quiet --no-deps --no-build-isolation /opt/project

RUN useradd --create-home --uid 1000 localizer
USER localizer
WORKDIR /home/localizer
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
CMD ["training", "--help"]
