import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Returns whether what is in the frame is wider than the frame, and remembers how much room it needs. */
export function useFit(): { frame: RefObject<HTMLDivElement | null>; fits: boolean } {
  const frame = useRef<HTMLDivElement>(null);
  const [needed, setNeeded] = useState(0);
  const [width, setWidth] = useState(Number.POSITIVE_INFINITY);
  const fits = width >= needed;

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [frame.current]);

  useLayoutEffect(() => {
    const element = frame.current;
    if (!element || !fits) return;
    setWidth(element.clientWidth);
    if (element.scrollWidth > element.clientWidth + 1) setNeeded(element.scrollWidth);
  });
  return { frame, fits };
}
