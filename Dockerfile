# momok on a CPU: by default it serves the run folder /data/run. See docs/serving.md.
FROM python:3.13-slim AS build
RUN python -m venv /opt/momok
ENV PATH=/opt/momok/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# PyTorch is most of the image and changes least: a layer of its own, in the build without CUDA.
RUN pip install --no-cache-dir -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[data,fetch,image,serve,use]' 'psycopg[binary]'

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 momok && install -d -o momok -g momok /data
COPY --from=build /opt/momok /opt/momok
ENV PATH=/opt/momok/bin:$PATH
USER momok
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["momok"]
CMD ["serve", "/data/run", "--host", "0.0.0.0"]
