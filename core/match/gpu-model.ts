const wordsOf = (text: string): string =>
  ` ${text
    .toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join(' ')} `;

/** Whether what a job asks for stands in a site's model as whole words: `a100` in `NVIDIA A100-SXM4-80GB`, not `a10`. */
export const gpuModelFits = (wanted: string, model: string): boolean =>
  wordsOf(model).includes(wordsOf(wanted));
