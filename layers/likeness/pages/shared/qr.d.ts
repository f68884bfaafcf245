/** What the pages use of lean-qr: the library itself comes small and without types. */
export function generate(text: string): {
  toCanvas(canvas: HTMLCanvasElement, colours?: { on?: number[]; off?: number[] }): void;
};
