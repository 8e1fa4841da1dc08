# docker build --build-arg COMMIT="$(git rev-parse HEAD)" -t rt_tf .
# docker build --build-arg COMMIT="$(git rev-parse HEAD)" -t rt_tf:gpu --target gpu .
#
# docker run -v rt_tf:/runs rt_tf                                  the digits example
# docker run -v rt_tf:/runs -v rt_tf_data:/data rt_tf train --flagfile=mnist/ibp --download
# docker run -v rt_tf:/runs rt_tf certify --model_dir=runs/digits/ibp --epsilon=0.02
# docker run --gpus all -v rt_tf:/runs rt_tf:gpu                   on GPUs
# docker stop -t 60 <container>          ends after the step it is at; the same command goes on
#
# For results in a folder of your own, make it first and run as yourself:
# mkdir -p runs && docker run --user "$(id -u):$(id -g)" -v "$PWD/runs:/runs" rt_tf
#
# The wheel of tensorflow-cpu is smaller, but pip takes it for another project than tensorflow, which
# rt_tf and others ask for: an environment with it is incomplete to pip, and it would install both.
FROM python:3.11-slim AS dependencies

# Any user can write to new volumes, and has a home: `--user` may name one that the image lacks.
RUN useradd --home-dir /home/trainer --uid 1000 trainer \
    && mkdir /home/trainer /runs /data \
    && chmod 1777 /home/trainer /runs /data
ENV HOME=/home/trainer TFDS_DATA_DIR=/data TF_CPP_MIN_LOG_LEVEL=2 MPLBACKEND=Agg PYTHONUNBUFFERED=1
VOLUME ["/runs", "/data"]
STOPSIGNAL SIGTERM
# Flag files say --model_dir=runs/<data set>/<system>: from here, that is in the volume.
WORKDIR /
ENTRYPOINT ["rt-tf"]
CMD ["train", "--flagfile=digits/ibp"]

# This layer stays while only the code changes.
COPY setup.py setup.cfg pyproject.toml constraints.txt README.md LICENSE /source/
COPY rt_tf/__init__.py /source/rt_tf/
RUN mkdir /source/pipelines /source/configs \
    && pip install --no-cache-dir --constraint /source/constraints.txt '/source[vnn]' \
    && rm -r /source/build

FROM dependencies AS gpu-dependencies
RUN pip install --no-cache-dir --constraint /source/constraints.txt '/source[vnn,gpu]'

FROM dependencies AS wheel
COPY rt_tf /source/rt_tf
COPY pipelines /source/pipelines
COPY configs /source/configs
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM gpu-dependencies AS gpu
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl && pip check
ARG COMMIT
ENV RT_TF_COMMIT=$COMMIT
USER trainer

FROM dependencies AS cpu
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --no-deps --force-reinstall /wheels/*.whl && pip check
ARG COMMIT
ENV RT_TF_COMMIT=$COMMIT
USER trainer
