# syntax=docker/dockerfile:1
# The program of this copy of the repository with the versions of constraints.txt (docs/start.md, Docker).
#   docker build -t recretrain .
#   docker build -t recretrain:cuda --build-arg TORCH=cuda .
ARG PYTHON=3.11
ARG TORCH=cpu

FROM python:${PYTHON}-slim AS slim

# Where pip finds torch: the wheels of PyPI bring CUDA along, those of the other index do not.
FROM slim AS torch-cuda
ENV PIP_INDEX_URL=https://pypi.org/simple
FROM slim AS torch-cpu
ENV PIP_INDEX_URL=https://download.pytorch.org/whl/cpu

# Torch is a layer of its own: a change of the code does not fetch it again.
# hadolint ignore=DL3006
FROM torch-${TORCH} AS built
RUN python -m venv /opt/recretrain
ENV PATH=/opt/recretrain/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt ./
RUN pip install --constraint constraints.txt --extra-index-url https://pypi.org/simple torch
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY conf ./conf
COPY recretrain ./recretrain
ENV PIP_INDEX_URL=https://pypi.org/simple
RUN pip wheel --no-deps --constraint constraints.txt --wheel-dir /wheels . \
    && pip install --constraint constraints.txt /wheels/*.whl

FROM slim AS recretrain
LABEL org.opencontainers.image.title="recretrain" \
      org.opencontainers.image.description="Retrain recommenders period by period, and compare fairly" \
      org.opencontainers.image.source="https://github.com/recretrain/recretrain" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 1000 --create-home recretrain \
    && mkdir /data /outputs \
    && chown recretrain /data /outputs
COPY --from=built /opt/recretrain /opt/recretrain
ENV PATH=/opt/recretrain/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    RECRETRAIN_DATA=/data \
    RECRETRAIN_CACHE=/outputs/.prepared
VOLUME ["/data", "/outputs"]
# Run folders go to outputs/ below the working folder: /outputs.
WORKDIR /
USER 1000
ENTRYPOINT ["recretrain"]
CMD ["--help"]
