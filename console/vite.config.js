import { defineConfig } from 'vite';

export default defineConfig({
    // The page does not know the prefix under which it is served.
    base: './',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
        target: 'es2023',
        outDir: process.env.CONSOLE_OUT_DIR ?? 'dist',
        emptyOutDir: true,
        // The polyfill fetches modules in browsers that the build target excludes.
        modulePreload: { polyfill: false },
        // A data URL in a style sheet would be the only reason to allow them there.
        assetsInlineLimit: 0,
        // The licences of the libraries ask to be passed on with them.
        license: { fileName: 'licenses.md' },
        reportCompressedSize: false,
    },
});
