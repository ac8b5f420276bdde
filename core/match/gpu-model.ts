const wordsOf = (text: string): string =>
  ` ${text
    .toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join(' ')} `;

/** Whether what a job asks for stands in one of the models as whole words: `a100` in `NVIDIA A100-SXM4-80GB`, not `a10`. */
export const hasGpuModel = (models: readonly string[], wanted: string): boolean =>
  models.some((model) => wordsOf(model).includes(wordsOf(wanted)));
